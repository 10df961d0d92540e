package retry_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

var errGone = errors.New("gone")

// A way is a way in which a call can end: what the operation and the caller do, and
// what must come of it.
type way struct {
	name string
	// op is the operation's attempt of that number; stop cancels the caller's context
	// with errGone.
	op func(n int, stop func()) error
	// before is done before the call.
	before func(ctx context.Context, stop func()) context.Context
	// stopAfter cancels the caller's context after that time.
	stopAfter time.Duration
	timeout   time.Duration // of the caller's context
	denied    bool          // by the budget; what follows then is for a call without one
	options   []retry.Option

	attempts int
	outcome  telemetry.Outcome
	reason   error   // errors.Is must find it, and nothing else
	wraps    []error // errors.Is must find these too
	asItIs   error   // the error is this one itself
	panics   any
	goexit   bool
	unsent   int // retries that were granted and never sent
}

func failing(err error) func(int, func()) error {
	return func(int, func()) error { return err }
}

// failingUntil fails before attempt n and then does then.
func failingUntil(n int, then func(stop func()) error) func(int, func()) error {
	return func(i int, stop func()) error {
		if i < n {
			return errTransient
		}
		return then(stop)
	}
}

var ways = []way{
	{
		name: "success", op: failing(nil),
		attempts: 1, outcome: telemetry.OutcomeSuccess,
	}, {
		name: "success after retry", op: failingUntil(3, func(func()) error { return nil }),
		attempts: 3, outcome: telemetry.OutcomeSuccessAfterRetry,
	}, {
		name: "exhausted", op: failing(errTransient),
		attempts: 4, outcome: telemetry.OutcomeExhausted, reason: retry.ErrExhausted, wraps: []error{errTransient},
	}, {
		name: "exhausted at once", op: failing(errTransient), options: []retry.Option{retry.WithMaxRetries(0)},
		attempts: 1, outcome: telemetry.OutcomeExhausted, reason: retry.ErrExhausted, wraps: []error{errTransient},
	}, {
		name: "permanent", op: failing(errPermanent),
		attempts: 1, outcome: telemetry.OutcomeNotRetryable, asItIs: errPermanent,
	}, {
		name: "permanent after a retry", op: failingUntil(2, func(func()) error { return errPermanent }),
		attempts: 2, outcome: telemetry.OutcomeNotRetryable, asItIs: errPermanent,
	}, {
		name: "unclassified", op: failing(errPlain),
		attempts: 1, outcome: telemetry.OutcomeUnclassified, asItIs: errPlain,
	}, {
		name: "unclassified after a retry", op: failingUntil(2, func(func()) error { return errPlain }),
		attempts: 2, outcome: telemetry.OutcomeUnclassified, asItIs: errPlain,
	}, {
		name: "refused", op: failing(errRefused),
		attempts: 1, outcome: telemetry.OutcomeRefused, asItIs: errRefused,
	}, {
		name: "budget exhausted", op: failing(errTransient), denied: true,
		attempts: 1, outcome: telemetry.OutcomeBudgetExhausted, reason: retry.ErrBudgetExhausted, wraps: []error{errTransient},
	}, {
		name: "retries forbidden", op: failing(errTransient),
		before:   func(ctx context.Context, _ func()) context.Context { return resilience.NoRetry(ctx) },
		attempts: 1, outcome: telemetry.OutcomeRefused, asItIs: errTransient,
	}, {
		name: "dead before the call", op: failing(nil),
		before:   func(ctx context.Context, stop func()) context.Context { stop(); return ctx },
		attempts: 0, outcome: telemetry.OutcomeNotStarted, reason: retry.ErrCanceled, wraps: []error{errGone, context.Canceled},
	}, {
		name: "deadline over before the call", op: failing(nil), timeout: time.Nanosecond,
		before:   func(ctx context.Context, _ func()) context.Context { time.Sleep(time.Second); return ctx },
		attempts: 0, outcome: telemetry.OutcomeNotStarted, reason: retry.ErrDeadline, wraps: []error{context.DeadlineExceeded},
	}, {
		name: "cancelled in the first attempt", op: func(_ int, stop func()) error { stop(); return errTransient },
		attempts: 1, outcome: telemetry.OutcomeCanceled, reason: retry.ErrCanceled, wraps: []error{errTransient, errGone, context.Canceled},
	}, {
		name: "cancelled in an attempt that says so", op: func(_ int, stop func()) error { stop(); return context.Canceled },
		attempts: 1, outcome: telemetry.OutcomeCanceled, reason: retry.ErrCanceled, wraps: []error{errGone, context.Canceled},
	}, {
		name: "cancelled in an attempt that tells the cause", op: func(_ int, stop func()) error { stop(); return fmt.Errorf("x: %w", errGone) },
		attempts: 1, outcome: telemetry.OutcomeCanceled, reason: retry.ErrCanceled, wraps: []error{errGone, context.Canceled},
	}, {
		name: "cancelled in an attempt that calls it something else", op: func(_ int, stop func()) error { stop(); return errPlain },
		attempts: 1, outcome: telemetry.OutcomeCanceled, reason: retry.ErrCanceled, wraps: []error{errPlain, errGone, context.Canceled},
	}, {
		name: "cancelled in an attempt that fails for good", op: func(_ int, stop func()) error { stop(); return errPermanent },
		attempts: 1, outcome: telemetry.OutcomeNotRetryable, asItIs: errPermanent,
	}, {
		name: "cancelled in an attempt that succeeds", op: func(_ int, stop func()) error { stop(); return nil },
		attempts: 1, outcome: telemetry.OutcomeSuccess,
	}, {
		name: "cancelled in a later attempt", op: failingUntil(3, func(stop func()) error { stop(); return errTransient }),
		attempts: 3, outcome: telemetry.OutcomeCanceled, reason: retry.ErrCanceled, wraps: []error{errTransient, errGone, context.Canceled},
	}, {
		name: "cancelled in a wait", op: failing(errTransient), stopAfter: 1500 * time.Millisecond,
		options:  []retry.Option{retry.WithJitter(backoff.NoJitter)},
		attempts: 2, unsent: 1, outcome: telemetry.OutcomeCanceled, reason: retry.ErrCanceled, wraps: []error{errTransient, errGone, context.Canceled},
	}, {
		name: "cancelled in the first wait", op: failing(errTransient), stopAfter: 500 * time.Millisecond,
		options:  []retry.Option{retry.WithJitter(backoff.NoJitter)},
		attempts: 1, unsent: 1, outcome: telemetry.OutcomeCanceled, reason: retry.ErrCanceled, wraps: []error{errTransient, errGone, context.Canceled},
	}, {
		name: "deadline too near", op: failing(errTransient), timeout: 2500 * time.Millisecond,
		options:  []retry.Option{retry.WithJitter(backoff.NoJitter)},
		attempts: 2, outcome: telemetry.OutcomeDeadline, reason: retry.ErrDeadline, wraps: []error{errTransient, context.DeadlineExceeded},
	}, {
		name: "deadline passed in an attempt", timeout: time.Second,
		op:       func(int, func()) error { time.Sleep(2 * time.Second); return errTransient },
		attempts: 1, outcome: telemetry.OutcomeDeadline, reason: retry.ErrDeadline, wraps: []error{errTransient, context.DeadlineExceeded},
	}, {
		name: "time for retries over", op: failing(errTransient),
		options:  []retry.Option{retry.WithMaxElapsed(2500 * time.Millisecond), retry.WithJitter(backoff.NoJitter)},
		attempts: 2, outcome: telemetry.OutcomeDeadline, reason: retry.ErrMaxElapsed, wraps: []error{errTransient},
	}, {
		name: "pushback too long", op: failing(resilience.RetryAfter(errTransient, time.Hour)),
		attempts: 1, outcome: telemetry.OutcomeDeadline, reason: retry.ErrPushback, wraps: []error{errTransient},
	}, {
		name: "attempts time out", op: failing(context.DeadlineExceeded),
		options:  []retry.Option{retry.WithAttemptTimeout(time.Second)},
		attempts: 4, outcome: telemetry.OutcomeExhausted, reason: retry.ErrExhausted, wraps: []error{context.DeadlineExceeded},
	}, {
		name: "panic", op: func(int, func()) error { panic("boom") },
		attempts: 1, outcome: telemetry.OutcomePanic, panics: "boom",
	}, {
		name: "panic after a retry", op: failingUntil(2, func(func()) error { panic("boom") }),
		attempts: 2, outcome: telemetry.OutcomePanic, panics: "boom",
	}, {
		name: "panic in the hook", op: failing(errTransient),
		options:  []retry.Option{retry.WithOnRetry(func(context.Context, retry.Retry) { panic("hook") })},
		attempts: 1, unsent: 1, outcome: telemetry.OutcomePanic, panics: "hook",
	}, {
		name: "panic in the classifier", op: failing(errPlain),
		options:  []retry.Option{retry.WithClassifier(func(error) resilience.Class { panic("classifier") })},
		attempts: 1, outcome: telemetry.OutcomePanic, panics: "classifier",
	}, {
		name: "left by Goexit", op: func(int, func()) error { runtime.Goexit(); return nil },
		attempts: 1, outcome: telemetry.OutcomePanic, goexit: true,
	},
}

var (
	errPermanent = resilience.Permanent(errors.New("permanent"))
	errRefused   = resilience.Refused(errors.New("refused"))
)

var allReasons = []error{
	retry.ErrExhausted, retry.ErrBudgetExhausted, retry.ErrDeadline, retry.ErrCanceled,
	retry.ErrMaxElapsed, retry.ErrPushback,
}

// Exactly what reached the callee is what telemetry says, in every configuration, for
// every way a call can end.
func TestMatrix(t *testing.T) {
	t.Parallel()
	type config struct {
		signals, budget, deadline bool
		jitter                    backoff.Jitter
		options                   []telemetry.Option
		form                      string
	}
	var configs []config
	for _, form := range []string{"DoValue", "Do", "Attempts", "Chain"} {
		for _, jitter := range []backoff.Jitter{backoff.FullJitter, backoff.EqualJitter, backoff.NoJitter, backoff.PlusMinus(10)} {
			for bits := range 8 {
				configs = append(configs, config{
					signals: bits&1 != 0, budget: bits&2 != 0, deadline: bits&4 != 0, jitter: jitter, form: form,
				})
			}
		}
	}
	for _, options := range [][]telemetry.Option{
		{telemetry.WithSpans()},
		{telemetry.WithEvents(telemetry.EventsTroubled)},
		{telemetry.WithEvents(telemetry.EventsNone), telemetry.WithCallDuration(telemetry.DurationsNever)},
		{telemetry.WithCallDuration(telemetry.DurationsRetried)},
	} {
		configs = append(configs, config{signals: true, budget: true, jitter: backoff.FullJitter, options: options, form: "DoValue"})
	}

	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			for _, c := range configs {
				if w.denied && !c.budget {
					continue
				}
				name := fmt.Sprintf("%+v", c)
				synctest.Test(t, func(t *testing.T) {
					s := newSignals()
					budget := &fakeBudget{left: 1000}
					if w.denied {
						budget.left = 0
					}
					options := []retry.Option{retry.WithJitter(c.jitter), retry.WithTelemetry(telemetry.Off())}
					if c.signals {
						options[1] = retry.WithTelemetry(s.option(c.options...)...)
					}
					if c.budget {
						options = append(options, retry.WithBudget(budget))
					}
					r := runWay(t, s, w, append(options, w.options...), c.deadline, c.form)
					r.check(t, name, w)
					if c.budget {
						r.checkBudget(t, name, w, budget)
					}
					if c.signals {
						r.checkMetrics(t, name, w, s)
						if len(c.options) == 0 {
							r.checkEvents(t, name, w)
							count, seconds := r.metrics.recorded(telemetry.MetricCallDuration, outcomeIs(w.outcome))
							assert.Equal(t, min(w.attempts, 1), count, name)
							assert.InDelta(t, r.took.Seconds(), seconds.Seconds(), 1e-6, name)
						}
					}
				})
			}
		})
	}
}

// result is what came of a call.
type result struct {
	calls    int // that reached the callee
	err      error
	panicked any
	returned bool
	events   []string
	took     time.Duration
	retried  time.Duration // from the end of the first attempt to the end of the call
	waits    []time.Duration
	metrics  collected
}

func runWay(t *testing.T, s *signals, w way, options []retry.Option, deadline bool, form string) *result {
	t.Helper()
	r := &result{}
	policy, err := retry.New("policy", options...)
	require.NoError(t, err)

	ctx, cancel := context.WithCancelCause(context.Background())
	stop := func() { cancel(errGone) }
	defer stop()
	switch {
	case w.timeout > 0:
		limited, cancel := context.WithTimeout(ctx, w.timeout)
		defer cancel()
		ctx = limited
	case deadline: // one that never comes
		limited, cancel := context.WithTimeout(ctx, 24*time.Hour)
		defer cancel()
		ctx = limited
	}
	if w.before != nil {
		ctx = w.before(ctx, stop)
	}
	if w.stopAfter > 0 {
		timer := time.AfterFunc(w.stopAfter, stop)
		defer timer.Stop()
	}

	var began, firstEnd, lastEnd time.Time
	op := func(ctx context.Context) error {
		r.calls++
		attempt := resilience.AttemptFrom(ctx)
		if r.calls == 1 {
			assert.Nil(t, attempt)
		} else {
			r.waits = append(r.waits, time.Since(lastEnd))
			if assert.NotNil(t, attempt) {
				assert.Equal(t, r.calls, attempt.Number)
			}
		}
		defer func() {
			lastEnd = time.Now()
			if r.calls == 1 {
				firstEnd = lastEnd
			}
		}()
		time.Sleep(10 * time.Millisecond) // virtual: attempts take some time
		return w.op(r.calls, stop)
	}
	done := make(chan struct{})
	go func() { // as a Goexit leaves its goroutine
		defer close(done)
		events := s.span(ctx, func(ctx context.Context) {
			defer func() {
				r.took = time.Since(began)
				r.retried = time.Since(firstEnd)
				r.panicked = recover()
			}()
			began = time.Now()
			r.err = callBy(form, ctx, policy, op)
			r.returned = true
		})
		r.events = eventNames(events)
	}()
	<-done
	r.metrics = collect(t, s.reader)
	if w.goexit { // the events were not returned; they are in the recorder
		for _, span := range s.spans.Ended() {
			if span.Name() == "caller" {
				r.events = eventNames(span.Events())
			}
		}
	}
	return r
}

func callBy(form string, ctx context.Context, policy *retry.Policy, op resilience.Operation) error {
	switch form {
	case "DoValue":
		value, err := retry.DoValue(ctx, policy, func(ctx context.Context) (string, error) { return "value", op(ctx) })
		if err == nil && value != "value" {
			return errors.New("the value was lost")
		}
		return err
	case "Do":
		return policy.Do(ctx, op)
	case "Chain":
		p := resilience.Chain(nil, policy, resilience.PolicyFunc(func(ctx context.Context, op resilience.Operation) error { return op(ctx) }))
		_, err := resilience.DoValue(ctx, p, func(ctx context.Context) (int, error) { return 1, op(ctx) })
		return err
	case "Attempts":
		var err error
		for ctx := range policy.Attempts(ctx, &err) {
			err = op(ctx)
		}
		return err
	}
	panic(form)
}

func (r *result) check(t *testing.T, name string, w way) {
	t.Helper()
	assert.Equal(t, w.attempts, r.calls, name)
	assert.Equal(t, w.panics, r.panicked, name)
	assert.Equal(t, w.panics == nil && !w.goexit, r.returned, name)
	switch {
	case w.asItIs != nil:
		assert.Equal(t, w.asItIs, r.err, name)
	case w.reason != nil:
		var e *retry.Error
		if !assert.ErrorAs(t, r.err, &e, name) {
			return
		}
		assert.Equal(t, w.attempts, e.Attempts, name)
		assert.Equal(t, "policy", e.Policy, name)
		for _, reason := range allReasons {
			assert.Equal(t, reason == w.reason, errors.Is(r.err, reason), "%s: %v", name, reason)
		}
		for _, wrapped := range w.wraps {
			assert.ErrorIs(t, r.err, wrapped, name)
		}
		assert.Equal(t, e.Refused(), resilience.Classify(r.err) == resilience.ClassRefused, name)
		assert.Equal(t, e.Refused(), w.attempts > 1 || w.reason == retry.ErrBudgetExhausted || w.reason == retry.ErrPushback, name)
		assert.Len(t, e.Failures(), w.attempts, name)
		if w.attempts > 1 || w.unsent > 0 {
			assert.Equal(t, r.retried, e.Elapsed, name)
		}
		for i, f := range e.Failures() {
			assert.Equal(t, i+1 == w.attempts, f.Delay == 0, "%s: %+v", name, f)
		}
	default:
		assert.NoError(t, r.err, name)
	}
}

func (r *result) checkBudget(t *testing.T, name string, w way, b *fakeBudget) {
	t.Helper()
	assert.Equal(t, min(w.attempts, 1), b.deposits, name)
	assert.Equal(t, w.unsent, b.refunded, name)
	assert.Equal(t, max(0, w.attempts-1), b.granted-b.refunded, name)
	if w.denied {
		assert.Equal(t, 1, b.denied, name)
	}
}

func (r *result) checkMetrics(t *testing.T, name string, w way, s *signals) {
	t.Helper()
	policy := telemetry.AttrPolicyName.String("policy")
	assert.EqualValues(t, 1, r.metrics.sum(telemetry.MetricRetryCalls), name)
	assert.EqualValues(t, 1, r.metrics.sum(telemetry.MetricRetryCalls, policy, outcomeIs(w.outcome)), name)
	assert.EqualValues(t, r.calls, r.metrics.sum(telemetry.MetricRetryAttempts, policy), name)

	retries := max(0, w.attempts-1)
	count, seconds := r.metrics.recorded(telemetry.MetricRetryDelay, policy)
	assert.Equal(t, retries, count, name)
	var waited time.Duration
	for _, wait := range r.waits {
		waited += wait
	}
	assert.InDelta(t, waited.Seconds(), seconds.Seconds(), 1e-6, name)

	count, seconds = r.metrics.recorded(telemetry.MetricRetryLatency, policy, outcomeIs(w.outcome))
	assert.Equal(t, min(retries, 1), count, name)
	if retries > 0 {
		assert.InDelta(t, r.retried.Seconds(), seconds.Seconds(), 1e-6, name)
	}
	for _, span := range s.spans.Ended() {
		assert.False(t, span.EndTime().IsZero(), name)
	}
	assert.Len(t, s.spans.Ended(), len(s.spans.Started()), "%s: a span was left open", name)
}

func (r *result) checkEvents(t *testing.T, name string, w way) {
	t.Helper()
	var want []string
	succeeded := w.outcome == telemetry.OutcomeSuccess || w.outcome == telemetry.OutcomeSuccessAfterRetry
	for n := 1; n <= w.attempts; n++ {
		last := n == w.attempts
		if last && succeeded {
			want = append(want, telemetry.EventAttemptSucceeded)
		} else {
			want = append(want, telemetry.EventAttemptFailed)
		}
		if !last || w.unsent > 0 {
			want = append(want, telemetry.EventRetryScheduled)
		}
	}
	switch w.outcome {
	case telemetry.OutcomeSuccess:
	case telemetry.OutcomeSuccessAfterRetry:
		want = append(want, telemetry.EventRetrySucceeded)
	case telemetry.OutcomeExhausted:
		want = append(want, telemetry.EventRetryExhausted)
	default:
		want = append(want, telemetry.EventRetryStopped)
	}
	assert.Equal(t, want, r.events, name)
}
