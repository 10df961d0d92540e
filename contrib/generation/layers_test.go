package generation_test

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/generation"
	"github.com/observable-go/toolkit/internal/signaltest"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/breaker"
	"github.com/observable-go/toolkit/resilience/budget"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

func TestRefusal(t *testing.T) {
	t.Parallel()
	s := newServer(t, fails(500, "server_error", "X-Should-Retry: false"))
	ctx, gaveUp := resilience.WatchGaveUp(t.Context())
	_, err := s.client(t, "").Generate(ctx, "prompt")
	assert.Equal(t, resilience.ClassRefused, resilience.Classify(err))
	assert.True(t, gaveUp(), "it travels on")
	assert.Contains(t, err.Error(), "says not to repeat")
	failure, asked := resilience.CalleeError(err)
	assert.True(t, asked)
	assert.Equal(t, resilience.ClassRetryable, resilience.Classify(failure), "breakers see the failure")
	assert.Len(t, s.requests(), 1)

	_, err = s.client(t, `{"ignore_refusals": true}`).Generate(t.Context(), "prompt")
	require.Error(t, err)
	assert.Len(t, s.requests(), 1+3)

	s = newServer(t, fails(400, "", "X-Should-Retry: false"))
	ctx, gaveUp = resilience.WatchGaveUp(t.Context())
	_, err = s.client(t, "").Generate(ctx, "prompt")
	assert.Equal(t, resilience.ClassPermanent, resilience.Classify(err))
	assert.False(t, gaveUp(), "nobody would have repeated it")
}

// Retries around those of the client do not multiply them.
func TestNestedUnderAnOuterRetry(t *testing.T) {
	t.Parallel()
	outer := newPolicy(t)
	for name, call := range map[string]func(context.Context, *generation.Client) error{
		"generate": func(ctx context.Context, c *generation.Client) error { _, err := c.Generate(ctx, "p"); return err },
		"stream": func(ctx context.Context, c *generation.Client) error {
			_, err := c.GenerateStream(ctx, "p")
			return err
		},
		"embed": func(ctx context.Context, c *generation.Client) error { _, err := c.Embed(ctx, "p"); return err },
		"official": func(ctx context.Context, c *generation.Client) error {
			official := c.OpenAI()
			_, err := official.Models.List(ctx)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, fails(500, ""))
			client := s.client(t, "")
			require.Error(t, outer.Do(t.Context(), func(ctx context.Context) error { return call(ctx, client) }))
			assert.Len(t, s.requests(), 3)

			// Where the inner one has no retries the outer one makes them, and tells the server.
			s = newServer(t, fails(500, ""))
			client = s.client(t, `{"retry": {"max_retries": 0}}`)
			require.Error(t, outer.Do(t.Context(), func(ctx context.Context) error { return call(ctx, client) }))
			require.Len(t, s.requests(), 3)
			assert.Equal(t, "2", s.requests()[2].header.Get("Previous-Attempts"))
			assert.Equal(t, "2", s.requests()[2].header.Get("X-Stainless-Retry-Count"))
		})
	}
}

func TestPolicyOfTheUser(t *testing.T) {
	t.Parallel()
	s := newServer(t, fails(500, ""))
	guard, err := breaker.New("llm", breaker.WithConsecutiveFailures(3))
	require.NoError(t, err)
	client := s.client(t, "", generation.WithPolicy(resilience.Chain(newPolicy(t), guard)))
	for range 5 {
		_, err = client.Generate(t.Context(), "prompt")
		require.Error(t, err)
	}
	assert.Equal(t, resilience.ClassRefused, resilience.Classify(err))
	assert.Less(t, len(s.requests()), 15, "the breaker has opened")

	s = newServer(t, fails(500, ""))
	client = s.client(t, "", generation.WithPolicy(nil))
	_, err = client.Generate(t.Context(), "prompt")
	require.Error(t, err)
	assert.Len(t, s.requests(), 1)
	assert.Nil(t, client.Policy())
}

func TestBudget(t *testing.T) {
	t.Parallel()
	retries, err := budget.New("llm", budget.WithBurst(5), budget.WithFloor(0), budget.WithRatio(0.01))
	require.NoError(t, err)
	s := newServer(t, fails(500, ""))
	client := s.client(t, "", generation.WithBudget(retries))
	for range 10 {
		_, err = client.Generate(t.Context(), "prompt")
		require.Error(t, err)
	}
	assert.ErrorIs(t, err, retry.ErrBudgetExhausted)
	assert.Len(t, s.requests(), 10+5)
}

func TestTelemetry(t *testing.T) {
	t.Parallel()
	signals := signaltest.New()
	s := newServer(t, fails(429, "rate_limit_exceeded"), says("Paris"), fails(400, key), fails(500, key), fails(500, key), fails(500, key),
		streams(), streams(token("Once"), done), answers(200, `{"data": [{"index": 0, "embedding": [1]}]}`))
	client := s.client(t, "", generation.WithTelemetry(signals.Options()...))
	events := signals.Span(t.Context(), func(ctx context.Context) {
		_, err := client.Generate(ctx, "prompt")
		require.NoError(t, err)
		_, err = client.Generate(ctx, "prompt")
		require.Error(t, err)
		_, err = client.Generate(ctx, "prompt")
		require.Error(t, err)
		stream, err := client.GenerateStream(ctx, "prompt")
		require.NoError(t, err)
		_, err = read(stream)
		require.NoError(t, err)
		_, err = client.Embed(ctx, "text")
		require.NoError(t, err)
	})
	all := signals.All(t)
	for point, want := range map[string]float64{
		"resilience.retry.calls success_after_retry generation.generate": 1,
		"resilience.retry.calls 400 not_retryable generation.generate":   1,
		"resilience.retry.calls 500 exhausted generation.generate":       1,
		"resilience.retry.calls success_after_retry generation.stream":   1,
		"resilience.retry.calls success generation.embed":                1,
	} {
		assert.InDelta(t, want, all[point], 0, "%s of %v", point, all)
	}
	lines := fmt.Sprint(signals.Lines())
	assert.Contains(t, lines, "generation.generate: Attempt 1/3 failed")
	assert.NotContains(t, fmt.Sprint(all, events, lines), key, "the server has said it three times")
	assert.Contains(t, signaltest.Names(events), telemetry.EventRetryScheduled)
}

func TestName(t *testing.T) {
	t.Parallel()
	signals := signaltest.New()
	s := newServer(t, says("Paris"))
	client := s.client(t, `{"name": "story"}`, generation.WithTelemetry(signals.Metrics()...))
	_, err := client.Generate(t.Context(), "prompt")
	require.NoError(t, err)
	assert.InDelta(t, 1, signals.Metric(t, telemetry.MetricRetryCalls)["success story.generate"], 0)
}

// The preset and the pushback, in a bubble without sockets, where waits take no time.
func TestWaits(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		header http.Header
		want   time.Duration // of both waits
		calls  int
	}{
		"milliseconds":    {http.Header{"Retry-After-Ms": {"1500.5"}}, 2 * 1500500 * time.Microsecond, 3},
		"seconds":         {http.Header{"Retry-After": {"7"}}, 14 * time.Second, 3},
		"fraction":        {http.Header{"Retry-After": {"0.25"}}, 500 * time.Millisecond, 3},
		"both":            {http.Header{"Retry-After": {"7"}, "Retry-After-Ms": {"10"}}, 20 * time.Millisecond, 3},
		"too long":        {http.Header{"Retry-After": {"61"}}, 0, 1},
		"much too long":   {http.Header{"Retry-After": {"99999999999999999999"}}, 0, 1},
		"rate limit":      {http.Header{"X-Ratelimit-Remaining-Requests": {"0"}, "X-Ratelimit-Reset-Requests": {"1m0s"}}, 2 * time.Minute, 3},
		"two rate limits": {http.Header{"X-Ratelimit-Remaining-Requests": {"0"}, "X-Ratelimit-Reset-Requests": {"1s"}, "X-Ratelimit-Remaining-Tokens": {"0"}, "X-Ratelimit-Reset-Tokens": {"20ms"}}, 2 * time.Second, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				client, err := generation.New(generation.Config{BaseURL: "http://llm.example/v1", Model: "gpt2"},
					generation.WithRequestOptions(transport(func(*http.Request) (*http.Response, error) {
						calls++
						return &http.Response{StatusCode: http.StatusTooManyRequests, Header: tt.header, Body: http.NoBody}, nil
					})))
				require.NoError(t, err)
				began := time.Now()
				_, err = client.Generate(t.Context(), "prompt")
				require.Error(t, err)
				assert.Equal(t, tt.want, time.Since(began))
				assert.Equal(t, tt.calls, calls)
			})
		})
	}
}

func TestPreset(t *testing.T) {
	t.Parallel()
	client, err := generation.New(generation.Config{Model: "gpt2"})
	require.NoError(t, err)
	policy, ok := client.Policy().(*retry.Policy)
	require.True(t, ok)
	assert.Equal(t, "generation", policy.Name())
	c := policy.Config()
	assert.Equal(t, 2, c.MaxRetries)
	assert.Equal(t, 2*time.Second, c.InitialDelay)
	assert.Equal(t, time.Minute, c.MaxDelay)
	assert.Equal(t, backoff.FullJitter, c.Jitter)
}

// Thousands of faulty calls leave neither goroutines nor connections behind.
func TestNoLeaks(t *testing.T) { //nolint:paralleltest // counts goroutines
	faults := []http.HandlerFunc{
		fails(500, ""), resets(nil), cut("{"), answers(200, "{"), streams(), streams(role, token("Once")), streams(token("Once"), token(" upon"), done),
		resets(streams(token("Once"))), fails(400, ""), streams(`{"error": {"code": 400}}`), says("Paris"),
	}
	var mu sync.Mutex
	next := 0
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		fault := faults[next%len(faults)]
		next++
		mu.Unlock()
		fault(w, r)
	})
	client := s.client(t, `{"retry": {"attempt_timeout": "10s", "jitter": false}}`, generation.WithTelemetry(telemetry.Off()))
	ctx := foreignContext{t.Context(), make(chan struct{})}
	before := runtime.NumGoroutine()
	const workers, calls = 8, 320
	var running sync.WaitGroup
	for worker := range workers {
		running.Go(func() {
			for call := range calls {
				switch (worker + call) % 4 {
				case 0:
					_, _ = client.Generate(ctx, "prompt")
				case 1:
					_, _ = client.Embed(ctx, "text")
				case 2:
					if stream, err := client.GenerateStream(ctx, "prompt"); err == nil {
						_, _ = read(stream)
					}
				case 3:
					if stream, err := client.GenerateStream(ctx, "prompt"); err == nil {
						_ = stream.Close()
					}
				}
			}
		})
	}
	running.Wait()
	assert.Greater(t, len(s.requests()), 5000)
	s.CloseClientConnections()
	assert.Eventually(t, func() bool {
		_, open := s.connections()
		return open == 0 && runtime.NumGoroutine() <= before+2
	}, 10*time.Second, 10*time.Millisecond, "%d goroutines before, now %d", before, runtime.NumGoroutine())
}

// A foreignContext is one of which package context does not know the inside: each context that
// is derived from it costs a goroutine until it is cancelled.
type foreignContext struct {
	context.Context

	done chan struct{}
}

func (c foreignContext) Done() <-chan struct{} { return c.done }
