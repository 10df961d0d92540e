package retry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/budget"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// bubble runs a test under virtual time.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, test)
}

var exact = retry.WithJitter(backoff.NoJitter)

// waits runs op, which fails with err each time, and returns what was waited between
// its attempts, beside the result.
func waits(ctx context.Context, p *retry.Policy, err error) ([]time.Duration, error) {
	var all []time.Duration
	var last time.Time
	result := p.Do(ctx, func(context.Context) error {
		if !last.IsZero() {
			all = append(all, time.Since(last))
		}
		last = time.Now()
		return err
	})
	return all, result
}

func TestDelaysAreThoseOfTheConfig(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for name, tt := range map[string]struct {
			options []retry.Option
			want    []time.Duration
		}{
			"defaults":         {[]retry.Option{exact}, []time.Duration{1e9, 2e9, 4e9}},
			"capped":           {[]retry.Option{exact, retry.WithMaxDelay(2500 * time.Millisecond)}, []time.Duration{1e9, 2e9, 2500e6}},
			"capped from 0 on": {[]retry.Option{exact, retry.WithMaxDelay(time.Millisecond)}, []time.Duration{1e6, 1e6, 1e6}},
			"base 3":           {[]retry.Option{exact, retry.WithExponentialBase(3), retry.WithInitialDelay(5 * time.Second)}, []time.Duration{5e9, 15e9, 45e9}},
			"without delay":    {[]retry.Option{exact, retry.WithInitialDelay(0)}, []time.Duration{0, 0, 0}},
			"Fibonacci": {
				[]retry.Option{retry.WithMaxRetries(5), retry.WithBackoff(backoff.Fibonacci{Initial: time.Second, Jitter: backoff.NoJitter})},
				[]time.Duration{1e9, 1e9, 2e9, 3e9, 5e9},
			},
			"negative, of the user's": {
				[]retry.Option{retry.WithBackoff(negative{})}, []time.Duration{0, 0, 0},
			},
			"last option wins": {[]retry.Option{exact, retry.WithMaxRetries(9), retry.WithMaxRetries(1)}, []time.Duration{1e9}},
		} {
			got, err := waits(t.Context(), retry.MustNew("p", tt.options...), errTransient)
			assert.Equal(t, tt.want, got, name)
			require.ErrorIs(t, err, retry.ErrExhausted)
		}
	})
}

type negative struct{}

func (negative) Delay(int, time.Duration, float64) time.Duration { return math.MinInt64 }

func TestJitterSpreads(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := retry.MustNew("p", retry.WithMaxRetries(1000), retry.WithExponentialBase(1))
		got, _ := waits(t.Context(), p, errTransient)
		var sum time.Duration
		distinct := map[time.Duration]bool{}
		for _, d := range got {
			assert.GreaterOrEqual(t, d, time.Duration(0))
			assert.LessOrEqual(t, d, time.Second)
			sum += d
			distinct[d] = true
		}
		assert.Greater(t, len(distinct), 990)
		// The mean of 1000 draws lies within 0.06 s of 0.5 s but for one run in 10^10.
		assert.InDelta(t, 0.5, sum.Seconds()/1000, 0.06)
	})
}

func TestDecorrelatedSeesThePreviousDelay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := backoff.Func(func(n int, prev time.Duration, _ float64) time.Duration {
			return time.Duration(n+1)*time.Second + 2*prev
		})
		got, _ := waits(t.Context(), retry.MustNew("p", retry.WithBackoff(b)), errTransient)
		assert.Equal(t, []time.Duration{1e9, 4e9, 11e9}, got)
	})
}

func TestPushback(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for name, tt := range map[string]struct {
			after   time.Duration
			options []retry.Option
			want    []time.Duration
			reason  error
		}{
			"obeyed":                  {7 * time.Second, nil, []time.Duration{7e9, 7e9, 7e9}, retry.ErrExhausted},
			"shorter than the delay":  {time.Millisecond, nil, []time.Duration{1e6, 1e6, 1e6}, retry.ErrExhausted},
			"as long as the cap":      {time.Minute, nil, []time.Duration{60e9, 60e9, 60e9}, retry.ErrExhausted},
			"longer than the cap":     {time.Minute + 1, nil, nil, retry.ErrPushback},
			"a cap of its own":        {time.Hour, []retry.Option{retry.WithMaxPushback(time.Hour)}, []time.Duration{3600e9, 3600e9, 3600e9}, retry.ErrExhausted},
			"a cap of 0":              {1, []retry.Option{retry.WithMaxPushback(0)}, nil, retry.ErrPushback},
			"the longest there is":    {math.MaxInt64, nil, nil, retry.ErrPushback},
			"the longest, as the cap": {math.MaxInt64, []retry.Option{retry.WithMaxPushback(math.MaxInt64)}, nil, retry.ErrDeadline},
			"now":                     {0, nil, []time.Duration{1e9, 2e9, 4e9}, retry.ErrExhausted},
			"in the past":             {-time.Hour, nil, []time.Duration{1e9, 2e9, 4e9}, retry.ErrExhausted},
			"no time for it":          {30 * time.Second, []retry.Option{retry.WithMaxElapsed(10 * time.Second)}, nil, retry.ErrMaxElapsed},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), 1e6*time.Hour)
			p := retry.MustNew("p", append(tt.options, exact)...)
			start := time.Now()
			got, err := waits(ctx, p, resilience.RetryAfter(errPlain, tt.after))
			assert.Equal(t, tt.want, got, name)
			require.ErrorIs(t, err, tt.reason, name)
			if tt.want == nil {
				assert.Zero(t, time.Since(start), "%s: gave up without waiting", name)
			}
			cancel()
		}
	})
}

// A delay that does not fit the deadline is not slept.
func TestDeadlineIsNotSlept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, timeout := range []time.Duration{time.Second, 999 * time.Millisecond, 1} {
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			start := time.Now()
			_, err := waits(ctx, retry.MustNew("p", exact), errTransient)
			require.ErrorIs(t, err, retry.ErrDeadline)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.NoError(t, ctx.Err())
			assert.Zero(t, time.Since(start))
			cancel()
		}
	})
}

func TestOperationThatIgnoresItsContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		calls := 0
		err := retry.MustNew("p", retry.WithAttemptTimeout(time.Millisecond)).Do(ctx, func(context.Context) error {
			calls++
			time.Sleep(time.Hour)
			return errTransient
		})
		assert.Equal(t, 1, calls)
		require.ErrorIs(t, err, retry.ErrDeadline)
		assert.Equal(t, 1, err.(*retry.Error).Attempts)
	})
}

func TestAttemptTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := retry.MustNew("p", retry.WithAttemptTimeout(time.Second), exact)
		calls := 0
		start := time.Now()
		value, err := retry.DoValue(t.Context(), p, func(ctx context.Context) (string, error) {
			calls++
			if calls == 3 {
				return "in time", nil
			}
			<-ctx.Done()
			assert.EqualError(t, context.Cause(ctx), "attempt timeout of 1s")
			if calls == 1 {
				return "", context.Cause(ctx) // as net/http returns it
			}
			return "", errPlain // as drivers do that have a word of their own for it
		})
		require.NoError(t, err)
		assert.Equal(t, "in time", value)
		assert.Equal(t, 5*time.Second, time.Since(start), "two timeouts and waits of 1 s and 2 s")

		_, err = retry.DoValue(t.Context(), p, func(ctx context.Context) (int, error) {
			<-ctx.Done()
			return 0, resilience.Permanent(ctx.Err())
		})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorIs(t, err, retry.ErrExhausted, "what is marked permanent is permanent")
	})
}

// What an attempt hands out lives on, also when the attempt had a timeout.
func TestAttemptTimeoutLeavesWhatIsHandedOut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		p := retry.MustNew("p", retry.WithAttemptTimeout(time.Second))
		var attempt context.Context
		stream, err := retry.DoValue(ctx, p, func(ctx context.Context) (context.Context, error) {
			attempt = ctx
			retained, release := resilience.Retain(ctx)
			t.Cleanup(release)
			return retained, nil
		})
		require.NoError(t, err)
		require.Error(t, attempt.Err(), "the attempt is over")
		time.Sleep(time.Minute)
		require.NoError(t, stream.Err(), "the stream is not")
		cancel()
		synctest.Wait()
		require.ErrorIs(t, stream.Err(), context.Canceled)
	})
}

func TestNestedRetriesDoNotMultiply(t *testing.T) {
	bubble(t, func(t *testing.T) {
		calls := 0
		inner := retry.MustNew("inner")
		outer := retry.MustNew("outer", retry.WithRetryable(errTransient), retry.WithUnknown(resilience.ClassRetryable))
		err := outer.Do(t.Context(), func(ctx context.Context) error {
			return fmt.Errorf("wrapped: %w", inner.Do(ctx, func(context.Context) error {
				calls++
				return errTransient
			}))
		})
		assert.Equal(t, 4, calls)
		require.ErrorIs(t, err, retry.ErrExhausted)
		require.ErrorIs(t, err, errTransient)
		var e *retry.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, "inner", e.Policy)
	})
}

// Retries of two layers are neither multiplied nor both lost.
func TestNestedRetriesThatMadeNone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		fail := func(context.Context) error { return errTransient }
		slow := retry.WithAttemptTimeout(time.Second)
		polling := retry.MustNew("poll", exact, retry.WithInitialDelay(600*time.Millisecond))
		var calls int
		polls := func(ctx context.Context) error {
			calls-- // it counts what it polls
			_, err := retry.Poll(ctx, polling, func(context.Context) (int, bool, error) { calls++; return 0, false, nil })
			return err
		}
		for name, tt := range map[string]struct {
			outer, inner *retry.Policy
			op           resilience.Operation
			calls        int
		}{
			"inner switched off":           {retry.MustNew("o"), retry.MustNew("i", retry.WithMaxRetries(0)), fail, 4},
			"outer's timeout ends inner":   {retry.MustNew("o", slow), retry.MustNew("i"), hang, 4},
			"inner's delay does not fit":   {retry.MustNew("o", slow), retry.MustNew("i", exact, retry.WithInitialDelay(2*time.Second)), fail, 4},
			"inner retried":                {retry.MustNew("o"), retry.MustNew("i"), fail, 4},
			"inner polls":                  {retry.MustNew("o", slow), nil, polls, 8},
			"inner's budget is exhausted":  {retry.MustNew("o"), retry.MustNew("i", retry.WithBudget(nil)), fail, 1},
			"inner gave up on a long list": {retry.MustNew("o"), retry.MustNew("i"), func(context.Context) error { return errMany }, 4},
		} {
			calls = 0
			err := tt.outer.Do(t.Context(), func(ctx context.Context) error {
				return tt.inner.Do(ctx, func(ctx context.Context) error { calls++; return tt.op(ctx) })
			})
			assert.Equal(t, tt.calls, calls, name)
			require.Error(t, err, name)
		}
	})
}

var errMany = func() error {
	errs := []error{errTransient}
	for i := range 1000 {
		errs = append(errs, fmt.Errorf("item %d", i))
	}
	return errors.Join(errs...)
}()

func TestLongListsOfErrors(t *testing.T) {
	t.Parallel()
	assert.Equal(t, resilience.ClassPermanent, resilience.Classify(errors.Join(errMany, resilience.Permanent(errPlain))))
	assert.True(t, resilience.MatchIs(errGone)(errors.Join(errMany, errGone)))
}

func TestGarbageClassIsNoOpinion(t *testing.T) {
	t.Parallel()
	calls := 0
	p := retry.MustNew("p", retry.WithInitialDelay(0), retry.WithClassifier(func(error) resilience.Class { return 9 }))
	assert.Equal(t, errPlain, p.Do(t.Context(), func(context.Context) error { calls++; return errPlain }))
	assert.Equal(t, 1, calls)
}

// A hook that ends the context, or outlasts it, takes the retry back.
func TestHookThatEndsTheContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		tokens := &fakeBudget{left: 10}
		calls := 0
		p := retry.MustNew("p", retry.WithBudget(tokens), retry.WithOnRetry(func(context.Context, retry.Retry) { cancel() }))
		require.ErrorIs(t, p.Do(ctx, func(context.Context) error { calls++; return errTransient }), retry.ErrCanceled)
		assert.Equal(t, 1, calls, "a dead context makes no attempt")
		assert.Equal(t, 1, tokens.refunded)
	})
}

// fickle is a context that is done for a moment only.
type fickle struct {
	context.Context
	done bool
}

func (c *fickle) Err() error {
	if c.done {
		c.done = false
		return context.Canceled
	}
	return nil
}

// A retry whose token was given back is not sent, whatever the context says next.
func TestRefundedRetryIsNotSent(t *testing.T) {
	t.Parallel()
	tokens := &fakeBudget{left: 10}
	ctx := &fickle{Context: t.Context()}
	calls := 0
	p := retry.MustNew("p", retry.WithBudget(tokens), retry.WithTelemetry(telemetry.Off()), retry.WithBackoff(backoff.Func(
		func(int, time.Duration, float64) time.Duration { ctx.done = true; return 0 })))
	require.Error(t, p.Do(ctx, func(context.Context) error { calls++; return errTransient }))
	assert.Equal(t, calls-1, tokens.granted-tokens.refunded)
}

func TestNoRetriesByConfig(t *testing.T) {
	t.Parallel()
	p := retry.MustNew("p", retry.WithInitialDelay(0))
	for _, c := range []retry.Config{{MaxRetries: retry.NoRetries}, func() retry.Config {
		c := retry.FastCall()
		c.MaxRetries = retry.NoRetries
		return c
	}()} {
		require.NoError(t, p.Update(c))
		calls := 0
		require.Error(t, p.Do(t.Context(), func(context.Context) error { calls++; return errTransient }))
		assert.Equal(t, 1, calls)
		for _, written := range []retry.Config{c, p.Config()} {
			text, err := json.Marshal(written)
			require.NoError(t, err)
			assert.Contains(t, string(text), `"max_retries":0`)
		}
	}
}

// Names of operations may come from anywhere; those of policies are checked.
func TestNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a\xffb", "a\nb", strings.Repeat("x", 129), "\x00"} {
		_, err := retry.New(name)
		require.ErrorContains(t, err, "printable UTF-8", "%q", name)
		_, err = budget.New(name)
		require.ErrorContains(t, err, "printable UTF-8", "%q", name)

		s := newSignals()
		p := retry.MustNew("p", retry.WithTelemetry(s.option(telemetry.WithSpans())...))
		require.NoError(t, retry.Named(p, name).Do(t.Context(), func(context.Context) error { return nil }))
		for _, point := range collect(t, s.reader)[telemetry.MetricRetryCalls].(metricdata.Sum[int64]).DataPoints {
			shown, _ := point.Attributes.Value(telemetry.AttrPolicyName)
			assert.NoError(t, telemetry.ValidateName(shown.AsString()), "%q", shown.AsString())
		}
		assert.NoError(t, telemetry.ValidateName(strings.TrimSuffix(s.spans.Ended()[0].Name(), " attempt")))
	}
	_, err := retry.New("größe.überprüfen")
	require.NoError(t, err)
}

func TestNamedDoesNotAllocate(t *testing.T) {
	client, err := retry.NewClient("inventory")
	require.NoError(t, err)
	get := client.Operation("get")
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		if client.Operation("get") != get || retry.Named(client.Policy(), "inventory.get") != get {
			t.Error("another policy")
		}
	}))
}

func TestAttemptInContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var attempts []*resilience.Attempt
		_ = retry.MustNew("p").Do(t.Context(), func(ctx context.Context) error {
			attempts = append(attempts, resilience.AttemptFrom(ctx))
			return errTransient
		})
		require.Len(t, attempts, 4)
		assert.Nil(t, attempts[0])
		for i, a := range attempts[1:] {
			assert.Equal(t, resilience.Attempt{Policy: "p", Number: i + 2, Max: 4}, *a)
		}
	})
}

func TestOnRetry(t *testing.T) {
	bubble(t, func(t *testing.T) {
		type call struct {
			retry retry.Retry
			at    time.Duration
		}
		var calls []call
		start := time.Now()
		p := retry.MustNew("p", exact, retry.WithMaxRetries(2), retry.WithOnRetry(func(_ context.Context, r retry.Retry) {
			calls = append(calls, call{r, time.Since(start)})
		}))
		_ = p.Do(t.Context(), func(context.Context) error { return errTransient })
		assert.Equal(t, []call{
			{retry.Retry{Policy: "p", Attempt: 2, Max: 3, Delay: time.Second, Err: errTransient}, time.Second},
			{retry.Retry{Policy: "p", Attempt: 3, Max: 3, Delay: 2 * time.Second, Err: errTransient}, 3 * time.Second},
		}, calls, "after the wait, and not after the last failure")

		calls = nil
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(500*time.Millisecond, cancel)
		require.ErrorIs(t, p.Do(ctx, func(context.Context) error { return errTransient }), retry.ErrCanceled)
		assert.Empty(t, calls, "a retry that is not sent is not told")
	})
}

func TestErrorKeepsABoundedHistory(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := 0
		err := retry.MustNew("p", retry.WithMaxRetries(19), retry.WithExponentialBase(1), exact).Do(t.Context(), func(context.Context) error {
			n++
			return resilience.Retryable(fmt.Errorf("failure %d", n))
		})
		var e *retry.Error
		require.ErrorAs(t, err, &e)
		failures := e.Failures()
		require.Len(t, failures, 8)
		for i, f := range failures {
			assert.Equal(t, 13+i, f.Attempt)
			assert.EqualError(t, f.Err, fmt.Sprintf("failure %d", 13+i))
		}
		assert.Equal(t, time.Second, failures[6].Delay)
		assert.Zero(t, failures[7].Delay)
		assert.Equal(t, "p: gave up after 20 attempts, 19s after the first failed (no attempts left): failure 20", err.Error())
		assert.Equal(t, 19*time.Second, e.Elapsed)
	})
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	for want, e := range map[string]*retry.Error{
		"p: not started (stopped by the caller: context canceled)":                                 {Policy: "p", Reason: retry.ErrCanceled},
		"p: gave up after 1 attempt (the retry budget is exhausted): transient":                    {Policy: "p", Attempts: 1, Reason: retry.ErrBudgetExhausted, Last: errTransient},
		"p: gave up after 2 attempts, 1.23ms after the first failed (no attempts left): transient": {Policy: "p", Attempts: 2, Elapsed: 1234567, Reason: retry.ErrExhausted, Last: errTransient},
		"p: gave up after 2 attempts, 0s after the first failed (no attempts left): transient":     {Policy: "p", Attempts: 2, Reason: retry.ErrExhausted, Last: errTransient},
	} {
		assert.EqualError(t, e, want)
	}
	assert.NotPanics(t, func() {
		_ = (&retry.Error{Policy: "p", Attempts: 1, Reason: retry.ErrExhausted, Last: bomb{}}).Error()
		_ = (&retry.Error{}).Error()
	})
}

// bomb panics in every method that one might call on an error.
type bomb struct{}

func (bomb) Error() string                     { panic("Error") }
func (bomb) Retryable() bool                   { panic("Retryable") }
func (bomb) RetryAfter() (time.Duration, bool) { panic("RetryAfter") }
func (bomb) ErrorType() string                 { panic("ErrorType") }
func (bomb) Timeout() bool                     { panic("Timeout") }
func (bomb) Is(error) bool                     { panic("Is") }
func (bomb) As(any) bool                       { panic("As") }
func (bomb) Unwrap() error                     { panic("Unwrap") }

func TestErrorsWhoseMethodsPanic(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSignals()
		p := retry.MustNew("p", retry.WithTelemetry(s.option()...), retry.WithPermanent(errPlain), retry.WithRetryableType[*retry.Error]())
		s.span(t.Context(), func(ctx context.Context) {
			assert.Equal(t, bomb{}, p.Do(ctx, func(context.Context) error { return bomb{} }), "unclassified: as it is")
			err := p.Do(ctx, func(context.Context) error { return resilience.Retryable(bomb{}) })
			var e *retry.Error // errors.Is itself would panic on what it wraps
			if assert.ErrorAs(t, err, &e) {
				assert.Equal(t, retry.ErrExhausted, e.Reason)
			}
		})
	})
}

func TestNilPolicyRunsOnce(t *testing.T) {
	t.Parallel()
	var p *retry.Policy
	calls := 0
	op := func(context.Context) error { calls++; return errTransient }
	assert.Equal(t, errTransient, p.Do(t.Context(), op))
	value, err := retry.DoValue(t.Context(), p, func(context.Context) (int, error) { calls++; return 5, errTransient })
	assert.Equal(t, 5, value)
	assert.Equal(t, errTransient, err)
	for ctx := range p.Attempts(t.Context(), &err) {
		err = op(ctx)
	}
	assert.Equal(t, errTransient, err)
	assert.Equal(t, errTransient, resilience.Chain(p, p).Do(t.Context(), op))
	assert.Equal(t, errTransient, retry.Client{}.Retry(t.Context(), "get", op))
	assert.Equal(t, 5, calls)
	assert.Nil(t, retry.Named(p, "x"))
	assert.Equal(t, 0, p.Config().MaxRetries)
	assert.Empty(t, p.Name())
	assert.Equal(t, resilience.ClassRetryable, p.Classify(errTransient))
}

func TestMissingArguments(t *testing.T) {
	t.Parallel()
	p := retry.MustNew("p")
	var noContext context.Context
	require.ErrorContains(t, p.Do(t.Context(), nil), "operation is nil")
	require.ErrorContains(t, p.Do(noContext, func(context.Context) error { return nil }), "context is nil")
	_, err := retry.DoValue[int](t.Context(), nil, nil)
	require.ErrorContains(t, err, "operation is nil")
	_, err = retry.Poll[int](t.Context(), p, nil)
	require.ErrorContains(t, err, "operation is nil")
	for range p.Attempts(noContext, &err) {
		t.Error("an attempt without a context")
	}
	require.ErrorContains(t, err, "context is nil")
}

func TestNilBudgetAllowsNoRetries(t *testing.T) {
	t.Parallel()
	calls := 0
	err := retry.MustNew("p", retry.WithBudget(nil)).Do(t.Context(), func(context.Context) error { calls++; return errTransient })
	assert.Equal(t, 1, calls)
	require.ErrorIs(t, err, retry.ErrBudgetExhausted)
}

func TestUpdate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := retry.MustNew("p", exact, retry.WithMaxRetries(5))
		named := retry.Named(p, "op")
		chain := resilience.Chain(resilience.PolicyFunc(nil), p)
		count := func(p resilience.Policy, during func(n int)) (calls int) {
			_ = p.Do(t.Context(), func(context.Context) error {
				calls++
				during(calls)
				return errTransient
			})
			return calls
		}
		nothing := func(int) {}
		assert.Equal(t, 6, count(p, nothing))
		calls := count(p, func(n int) {
			if n == 1 {
				require.NoError(t, p.Update(retry.Config{MaxRetries: 1}))
			}
		})
		assert.Equal(t, 6, calls, "a call ends under the rules with which it began")
		for _, p := range []resilience.Policy{p, named, chain, resilience.Named(chain, "other")} {
			assert.Equal(t, 2, count(p, nothing))
		}
		require.NoError(t, named.Update(retry.Config{MaxRetries: 2}))
		assert.Equal(t, 3, count(p, nothing))

		custom := retry.MustNew("p", retry.WithBackoff(backoff.Constant{Interval: time.Hour, Jitter: backoff.NoJitter}))
		require.NoError(t, custom.Update(retry.Config{MaxRetries: 1, InitialDelay: time.Second}))
		got, _ := waits(t.Context(), custom, errTransient)
		assert.Equal(t, []time.Duration{time.Hour}, got, "a backoff of the user's outlives an update")
	})
}

func TestUpdateWhileCallsRun(t *testing.T) {
	t.Parallel()
	p := retry.MustNew("p", retry.WithInitialDelay(0))
	var group sync.WaitGroup
	for w := range 8 {
		group.Go(func() {
			for i := range 500 {
				if w == 0 {
					assert.NoError(t, p.Update(retry.Config{MaxRetries: 1 + i%3, InitialDelay: 1}))
					continue
				}
				calls := 0
				_ = p.Do(t.Context(), func(context.Context) error { calls++; return errTransient })
				assert.GreaterOrEqual(t, calls, 2)
				assert.LessOrEqual(t, calls, 4)
			}
		})
	}
	group.Wait()
}

func TestNamed(t *testing.T) {
	t.Parallel()
	p := retry.MustNew("p", retry.WithMaxRetries(0))
	a := retry.Named(p, "a")
	assert.Equal(t, "a", a.Name())
	assert.Same(t, a, retry.Named(p, "a"))
	assert.Same(t, a, retry.Named(retry.Named(p, "b"), "a"))
	assert.Same(t, p, retry.Named(p, "p"))
	assert.Same(t, p, retry.Named(p, " "))
	assert.Same(t, p, retry.Named(a, "p"))
	var e *retry.Error
	require.ErrorAs(t, a.Do(t.Context(), func(context.Context) error { return errTransient }), &e)
	assert.Equal(t, "a", e.Policy)
	for i := range 3000 {
		assert.NoError(t, retry.Named(p, fmt.Sprint(i)).Do(t.Context(), func(context.Context) error { return nil }))
	}
}

func TestClient(t *testing.T) {
	t.Parallel()
	type inventory struct{ retry.Client }
	client, err := retry.NewClient("inventory", retry.WithMaxRetries(1), retry.WithInitialDelay(0))
	require.NoError(t, err)
	c := inventory{client}
	calls := 0
	err = c.Retry(t.Context(), "get", func(context.Context) error { calls++; return errTransient })
	require.ErrorContains(t, err, "inventory.get: gave up after 2 attempts")
	assert.Equal(t, 2, calls)
	assert.Equal(t, "inventory.put", c.Operation("put").Name())
	assert.Equal(t, "inventory", c.Policy().Name())
	_, err = retry.NewClient("")
	require.Error(t, err)
}

func TestAttemptsLeft(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSignals()
		p := retry.MustNew("p", retry.WithTelemetry(s.option()...))
		var err error
		n := 0
		for range p.Attempts(t.Context(), &err) {
			if n++; n == 2 {
				err = errPlain
				break
			}
			err = errTransient
		}
		assert.Equal(t, errPlain, err)
		found := func() int {
			var err error
			for range p.Attempts(t.Context(), &err) {
				return 7
			}
			return 0
		}()
		assert.Equal(t, 7, found)
		all := collect(t, s.reader)
		assert.EqualValues(t, 3, all.sum("resilience.retry.attempts"))
		assert.EqualValues(t, 1, all.sum("resilience.retry.calls", outcomeIs(0)))
		assert.EqualValues(t, 1, all.sum("resilience.retry.calls", outcomeIs(3)))

		for range p.Attempts(t.Context(), nil) {
			n++
		}
		assert.Equal(t, 3, n, "a body that reports nothing runs once")
	})
}

func TestAttemptsMayBeRangedOverAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var err error
		n := 0
		attempts := retry.MustNew("p", retry.WithMaxRetries(1)).Attempts(t.Context(), &err)
		for range 2 {
			for range attempts {
				n++
				err = errTransient
			}
			require.ErrorIs(t, err, retry.ErrExhausted)
		}
		assert.Equal(t, 4, n)
	})
}

func TestPoll(t *testing.T) {
	bubble(t, func(t *testing.T) {
		tokens := &fakeBudget{left: 1}
		p := retry.MustNew("p", exact, retry.WithMaxDelay(4*time.Second), retry.WithBudget(tokens))
		start := time.Now()
		n := 0
		value, err := retry.Poll(t.Context(), p, func(context.Context) (int, bool, error) {
			n++
			if n == 3 {
				return 0, false, errTransient
			}
			return n, n == 7, nil
		})
		require.NoError(t, err)
		assert.Equal(t, 7, value)
		assert.Equal(t, (1+2+1+4+4+4)*time.Second, time.Since(start), "waits, with a retry of 1 s among them")
		assert.Equal(t, 1, tokens.granted, "not done yet draws on no budget")

		_, err = retry.Poll(t.Context(), p, func(context.Context) (int, bool, error) { return 0, false, errPlain })
		assert.Equal(t, errPlain, err)
	})
}

func TestPollEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		never := func(context.Context) (int, bool, error) { return 9, false, nil }
		timeout, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		value, err := retry.Poll(timeout, retry.MustNew("p", exact), never)
		assert.Equal(t, 9, value)
		require.ErrorIs(t, err, retry.ErrDeadline)
		require.ErrorIs(t, err, retry.ErrNotDone)
		require.EqualError(t, err, "p: gave up after 4 attempts in 7s (no time left: context deadline exceeded): not done yet")
		assert.Equal(t, 7*time.Second, time.Since(start), "the wait that does not fit is not slept")

		_, err = retry.Poll(t.Context(), retry.MustNew("p", exact, retry.WithMaxElapsed(5*time.Second)), never)
		require.ErrorIs(t, err, retry.ErrMaxElapsed)

		ctx, stop := context.WithCancelCause(t.Context())
		time.AfterFunc(1500*time.Millisecond, func() { stop(errGone) })
		_, err = retry.Poll(ctx, retry.MustNew("p", exact), never)
		require.ErrorIs(t, err, retry.ErrCanceled)
		require.ErrorIs(t, err, errGone)

		s := newSignals()
		var out bytes.Buffer
		told := retry.MustNew("job", exact, retry.WithTelemetry(s.option(logger(&out, slog.LevelInfo), telemetry.WithSpans())...),
			retry.WithMaxElapsed(5*time.Second))
		events := s.span(t.Context(), func(ctx context.Context) { _, _ = retry.Poll(ctx, told, never) })
		assert.Equal(t, []string{telemetry.EventRetryStopped}, eventNames(events))
		assert.Equal(t, "max_elapsed", attr(events[0], telemetry.AttrRetryReason).AsString())
		assert.Contains(t, out.String(), "job: Not done after 3 calls (max_elapsed)")
		assert.EqualValues(t, 3, collect(t, s.reader).sum(telemetry.MetricRetryCalls), "the polling itself is no call")

		_, err = retry.Poll(ctx, nil, never)
		require.Error(t, err, "a nil policy obeys the context too")
	})
}

func TestWrap(t *testing.T) {
	t.Parallel()
	n := 0
	fetch := retry.Wrap(retry.MustNew("p", retry.WithInitialDelay(0)), func(context.Context) (int, error) {
		if n++; n < 3 {
			return 0, errTransient
		}
		return n, nil
	})
	value, err := fetch(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 3, value)
}

func TestWrap1(t *testing.T) {
	t.Parallel()
	n := 0
	double := retry.Wrap1(retry.MustNew("p", retry.WithInitialDelay(0)), func(_ context.Context, x int) (int, error) {
		if n++; n < 3 {
			return 0, errTransient
		}
		return 2 * x, nil
	})
	value, err := double(t.Context(), 21)
	require.NoError(t, err)
	assert.Equal(t, 42, value)
}

// Whoever forbids retries further in may retry by itself.
func TestNoRetryFurtherIn(t *testing.T) {
	t.Parallel()
	calls := 0
	inner := retry.MustNew("inner", retry.WithInitialDelay(0))
	outer := retry.MustNew("outer", retry.WithInitialDelay(0))
	err := outer.Do(t.Context(), func(ctx context.Context) error {
		return inner.Do(resilience.NoRetry(ctx), func(context.Context) error { calls++; return errTransient })
	})
	require.ErrorIs(t, err, retry.ErrExhausted)
	assert.Equal(t, 4, calls)
}

func TestLastValueComesBesideTheError(t *testing.T) {
	t.Parallel()
	n := 0
	p := retry.MustNew("p", retry.WithInitialDelay(0))
	value, err := retry.DoValue(t.Context(), p, func(context.Context) (int, error) { n++; return n, errTransient })
	assert.Equal(t, 4, value)
	require.ErrorIs(t, err, retry.ErrExhausted)
	value, err = retry.DoValue(t.Context(), p, func(context.Context) (int, error) { return 8, errPlain })
	assert.Equal(t, 8, value)
	assert.Equal(t, errPlain, err)
}

func TestClassification(t *testing.T) {
	t.Parallel()
	custom := errors.New("custom")
	for name, tt := range map[string]struct {
		option retry.Option
		err    error
		calls  int
	}{
		"transient":              {nil, errTransient, 4},
		"unknown":                {nil, errPlain, 1},
		"unknown made retryable": {retry.WithUnknown(resilience.ClassRetryable), errPlain, 4},
		"retryable error":        {retry.WithRetryable(custom, errPlain), fmt.Errorf("x: %w", errPlain), 4},
		"permanent error":        {retry.WithPermanent(errTransient), errTransient, 1},
		"retryable type":         {retry.WithRetryableType[typedError](), fmt.Errorf("x: %w", typedError{}), 4},
		"permanent type":         {retry.WithPermanentType[transientError](), errTransient, 1},
		"classifier":             {retry.WithClassifier(func(error) resilience.Class { return resilience.ClassRetryable }), errPlain, 4},
		"classifier refuses":     {retry.WithClassifier(func(error) resilience.Class { return resilience.ClassRefused }), errTransient, 1},
		"without defaults":       {retry.WithoutDefaults(), context.DeadlineExceeded, 1},
		"without defaults, own":  {retry.WithoutDefaults(), errTransient, 4},
	} {
		calls := 0
		err := retry.MustNew("p", retry.WithInitialDelay(0), tt.option).Do(t.Context(), func(context.Context) error { calls++; return tt.err })
		assert.Equal(t, tt.calls, calls, name)
		require.ErrorIs(t, err, tt.err, name)
	}
}

type typedError struct{}

func (typedError) Error() string { return "typed" }

// A policy is shared: calls of many goroutines do not touch each other.
func TestSharedByGoroutines(t *testing.T) {
	t.Parallel()
	p := retry.MustNew("p", retry.WithInitialDelay(0))
	var group sync.WaitGroup
	for w := range 32 {
		group.Go(func() {
			for i := range 300 {
				want := (w + i) % 5
				n := 0
				value, err := retry.DoValue(t.Context(), p, func(ctx context.Context) (int, error) {
					n++
					if a := resilience.AttemptFrom(ctx); n > 1 && (a == nil || a.Number != n) {
						t.Errorf("attempt %d is told to be %+v", n, a)
					}
					if n <= want {
						return -n, errTransient
					}
					return n, nil
				})
				if want < 4 {
					assert.NoError(t, err)
					assert.Equal(t, want+1, value)
				} else {
					assert.ErrorIs(t, err, retry.ErrExhausted)
					assert.Equal(t, -4, value)
				}
			}
		})
	}
	group.Wait()
}
