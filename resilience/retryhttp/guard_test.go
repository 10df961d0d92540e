package retryhttp_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/breaker"
	"github.com/observable-go/toolkit/resilience/bulkhead"
	"github.com/observable-go/toolkit/resilience/ratelimit"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/retryhttp"
	"github.com/observable-go/toolkit/resilience/stack"
	"github.com/observable-go/toolkit/resilience/telemetry"
	"github.com/observable-go/toolkit/resilience/timeout"
)

// bulkheadOf returns a bulkhead for one call.
func bulkheadOf(t *testing.T) *bulkhead.Bulkhead {
	t.Helper()
	b, err := bulkhead.New("guard", 1, bulkhead.WithTelemetry(telemetry.Off()))
	require.NoError(t, err)
	return b
}

func breakerOf(t *testing.T) *breaker.Breaker {
	t.Helper()
	b, err := breaker.New("guard", breaker.WithConsecutiveFailures(1), breaker.WithTelemetry(telemetry.Off()))
	require.NoError(t, err)
	return b
}

func timeoutOf(t *testing.T, limit time.Duration) *timeout.Timeout {
	t.Helper()
	limited, err := timeout.New("guard", limit, timeout.WithTelemetry(telemetry.Off()))
	require.NoError(t, err)
	return limited
}

// A server that is full says so at once, to whoever comes while it is.
func TestFullBulkhead(t *testing.T) {
	t.Parallel()
	inside, leave := make(chan struct{}), make(chan struct{})
	h := handle(t, func(w http.ResponseWriter, r *http.Request) {
		inside <- struct{}{}
		<-leave
		ok(w, r)
	}, retryhttp.WithGuard(bulkheadOf(t)))
	first := make(chan string)
	go func() {
		recorder := httptest.NewRecorder()
		h.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
		first <- recorder.Body.String()
	}()
	<-inside
	refused := served(t, h, http.Header{})
	assert.Equal(t, 503, refused.code)
	assert.NotContains(t, refused.header, "Retry-After", "nobody knows")
	close(leave)
	assert.Equal(t, "hello", <-first)
}

func TestRateLimitSaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limit, err := ratelimit.New("guard", 0.4, ratelimit.WithBurst(1), ratelimit.WithTelemetry(telemetry.Off()))
		require.NoError(t, err)
		h := handle(t, ok, retryhttp.WithGuard(limit))
		assert.Equal(t, "hello", served(t, h, http.Header{}).body)
		refused := served(t, h, http.Header{})
		assert.Equal(t, 503, refused.code)
		assert.Equal(t, "3", refused.header.Get("Retry-After"))
		time.Sleep(3 * time.Second) // of the bubble
		assert.Equal(t, "hello", served(t, h, http.Header{}).body)
	})
}

// To a breaker an answer of status 500 or more is a failure.
func TestBreakerSeesAnswers(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]breaker.State{
		200: breaker.Closed, 404: breaker.Closed, 429: breaker.Closed, 500: breaker.Open, 503: breaker.Open, 504: breaker.Open,
	} {
		guard := breakerOf(t)
		h := handle(t, status(code), retryhttp.WithGuard(guard))
		answer := served(t, h, http.Header{})
		assert.Equal(t, code, answer.code)
		assert.Equal(t, http.StatusText(code), answer.body, "the answer is that of the handler")
		assert.Equal(t, want, guard.State(), code)
		if want == breaker.Open {
			refused := served(t, h, http.Header{})
			assert.Equal(t, 503, refused.code)
			assert.NotEmpty(t, refused.header.Get("Retry-After"))
		}
	}
}

// A policy that may call a handler twice is known before it does.
func TestGuardsThatRepeat(t *testing.T) {
	t.Parallel()
	off := telemetry.Off()
	retries := policyOf(t)
	stacked := stack.MustNew("orders", stack.WithTelemetry(off))
	for want, guards := range map[string][]resilience.Policy{
		`the retry "http"`:   {retries},
		`the stack "orders"`: {stacked},
		"a policy that repeats": {
			resilience.Chain(bulkheadOf(t), retries),
			resilience.Chain(bulkheadOf(t), stacked),
			stages{bulkheadOf(t), resilience.Chain(breakerOf(t), retries)},
			stages{stacked},
		},
	} {
		for i, guard := range guards {
			_, err := retryhttp.NewHandler(http.NotFoundHandler(), retryhttp.WithGuard(guard))
			assert.EqualError(t, err, "retryhttp: guard: "+want+" is not allowed: want one that calls an operation once", i)
		}
	}
	for name, guard := range map[string]resilience.Policy{
		"retry without retries": policyOf(t, retry.WithMaxRetries(0)),
		"stack without retries": stack.MustNew("orders", stack.WithRetry(retry.WithMaxRetries(0)), stack.WithTelemetry(off)),
		"chain":                 resilience.Chain(timeoutOf(t, time.Hour), breakerOf(t), bulkheadOf(t)),
		"nothing":               resilience.Chain(),
		"no policy":             (*retry.Policy)(nil),
	} {
		answer := served(t, handle(t, ok, retryhttp.WithGuard(guard)), http.Header{})
		assert.Equal(t, "hello", answer.body, name)
	}
}

// stages is a composition of another library.
type stages []resilience.Policy

func (s stages) Stages() []resilience.Policy { return s }
func (s stages) Do(ctx context.Context, op resilience.Operation) error {
	return resilience.Chain(s...).Do(ctx, op)
}

// A policy that repeats without having said so is stopped: the answer is given already.
func TestGuardThatRepeatsAllTheSame(t *testing.T) {
	t.Parallel()
	var second error
	twice := resilience.PolicyFunc(func(ctx context.Context, op resilience.Operation) error {
		first := op(ctx)
		second = op(ctx)
		return errors.Join(first, second)
	})
	calls := 0
	h := handle(t, func(w http.ResponseWriter, r *http.Request) { calls++; status(503)(w, r) }, retryhttp.WithGuard(twice))
	answer := served(t, h, http.Header{})
	assert.Equal(t, "Service Unavailable", answer.body)
	assert.Equal(t, 1, calls)
	require.EqualError(t, second, "retryhttp: a guard must not call an operation twice")
	assert.Equal(t, resilience.ClassPermanent, resilience.Classify(second))
}

// A guard that neither lets a request pass nor says why has refused it.
func TestLazyGuard(t *testing.T) {
	t.Parallel()
	lazy := resilience.PolicyFunc(func(context.Context, resilience.Operation) error { return nil })
	answer := served(t, handle(t, ok, retryhttp.WithGuard(lazy)), http.Header{})
	assert.Equal(t, 503, answer.code)
}

// A timeout ends the context of a handler. What that has answered by then stands, and where
// that is nothing the server does not say 200 for it.
func TestGuardThatTimesOut(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		late http.HandlerFunc
		code int
		text string
	}{
		"says nothing":        {func(http.ResponseWriter, *http.Request) {}, 503, "Service Unavailable\n"},
		"sets a header":       {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "7") }, 503, "Service Unavailable\n"},
		"says what it is":     {status(504), 504, "Gateway Timeout"},
		"has it all the same": {ok, 200, "hello"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				guard := breakerOf(t)
				h := handle(t, func(w http.ResponseWriter, r *http.Request) {
					<-r.Context().Done()
					assert.EqualError(t, context.Cause(r.Context()), "timeout guard of 2s")
					test.late(w, r)
				}, retryhttp.WithGuard(resilience.Chain(guard, timeoutOf(t, 2*time.Second))))
				began := time.Now()
				answer := served(t, h, http.Header{})
				assert.Equal(t, 2*time.Second, time.Since(began))
				assert.Equal(t, test.code, answer.code)
				assert.Equal(t, test.text, answer.body)
				assert.Equal(t, test.code != 200, guard.State() == breaker.Open)
			})
		})
	}
}

// A caller that goes away is no failure of the service.
func TestCallerGoesAway(t *testing.T) {
	t.Parallel()
	guard := breakerOf(t)
	ctx, cancel := context.WithCancel(t.Context())
	h := handle(t, func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() }, retryhttp.WithGuard(guard))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/", http.NoBody))
	assert.Equal(t, breaker.Closed, guard.State())
}

// The retries of a guarded handler see the signals too, and their failure is told.
func TestGuardAndSignals(t *testing.T) {
	t.Parallel()
	h := handle(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Error(t, policyOf(t).Do(r.Context(), down))
		w.WriteHeader(http.StatusBadGateway)
	}, retryhttp.WithGuard(bulkheadOf(t)))
	assert.Equal(t, "false", shouldRetry(t, h))
	answer := served(t, h, http.Header{"X-Envoy-Attempt-Count": {"2"}})
	assert.NotContains(t, answer.header, "X-Should-Retry")
}
