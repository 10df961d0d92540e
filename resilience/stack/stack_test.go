package stack_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/internal/signaltest"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/adaptive"
	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/breaker"
	"github.com/observable-go/toolkit/resilience/budget"
	"github.com/observable-go/toolkit/resilience/bulkhead"
	"github.com/observable-go/toolkit/resilience/ratelimit"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/stack"
	"github.com/observable-go/toolkit/resilience/telemetry"
	"github.com/observable-go/toolkit/resilience/timeout"
)

var errDown = resilience.Retryable(errors.New("down"))

func kinds(s *stack.Stack) (all []string) {
	for _, p := range s.Stages() {
		d := p.(resilience.Part).Describe()
		all = append(all, d.Kind+" "+d.Name)
	}
	return all
}

func TestParts(t *testing.T) {
	t.Parallel()
	s := stack.MustNew("orders")
	assert.Equal(t, []string{"timeout orders", "retry orders", "breaker orders", "bulkhead orders", "timeout orders.attempt"}, kinds(s))
	assert.Empty(t, resilience.Check(s.Stages()...))
	assert.Equal(t, 3, s.Retry().Config().MaxRetries)
	assert.Equal(t, stack.DefaultBulkheadLimit, s.Bulkhead().Limit())
	assert.Equal(t, "orders", s.Budget().(*budget.Budget).Name())
	assert.Equal(t, resilience.Description{
		Kind: "stack", Name: "orders", Repeats: true, AttemptTimeout: 10 * time.Second, FirstDelay: 500 * time.Millisecond,
	}, s.Describe())
	short := stack.MustNew("orders", stack.WithTimeout(3*time.Second))
	assert.Equal(t, time.Second, short.Describe().AttemptTimeout, "a third of the timeout")

	all := stack.MustNew("orders", stack.WithAdaptiveRate(adaptive.MustNewRateLimiter("orders")), stack.WithRateLimit(ratelimit.MustNew("orders", 10)),
		stack.WithThrottle(adaptive.MustNewThrottle("orders")))
	assert.Equal(t, []string{
		"timeout orders", "retry orders", "throttle orders", "adaptive orders", "ratelimit orders", "breaker orders", "bulkhead orders", "timeout orders.attempt",
	}, kinds(all))
	bare := stack.MustNew("orders", stack.WithTimeout(0), stack.WithAttemptTimeout(0), stack.WithBreaker(nil), stack.WithBulkhead(nil), stack.WithoutBudget())
	assert.Equal(t, []string{"retry orders"}, kinds(bare))
	assert.Nil(t, bare.Budget())

	b, h := breaker.MustNew("shared"), bulkhead.MustNew("shared", 7)
	shared := stack.MustNew("orders", stack.WithBreaker(b), stack.WithBulkhead(h), stack.WithBudget(budget.MustNew("shared")))
	assert.Same(t, b, shared.Breaker())
	assert.Same(t, h, shared.Bulkhead())
	assert.Equal(t, "shared", shared.Budget().(*budget.Budget).Name())
}

func TestInvalidOptions(t *testing.T) {
	t.Parallel()
	for want, options := range map[string][]stack.Option{
		"timeout: -1ns is not allowed: want at least 0s; 0s is no bound":          {stack.WithTimeout(-1)},
		"attempt_timeout: -1ns is not allowed: want at least 0s":                  {stack.WithAttemptTimeout(-1)},
		"max_retries: -5 is not allowed: want 0 to":                               {stack.WithRetry(retry.WithMaxRetries(-5))},
		"budget: nil is not allowed: want a budget, or WithoutBudget":             {stack.WithBudget(nil)},
		"retry: WithBudget is not allowed here: want WithBudget of the stack":     {stack.WithRetry(retry.WithBudget(budget.MustNew("b")))},
		"retry: attempt_timeout is not allowed here":                              {stack.WithRetry(retry.WithAttemptTimeout(time.Second))},
		"probes: 0 is not allowed":                                                {stack.WithBreakerOptions(breaker.WithProbes(0))},
		"limit: 0 is not allowed":                                                 {stack.WithBulkheadLimit(0)},
		"breaker: WithBreakerOptions is not allowed together with a part":         {stack.WithBreaker(nil), stack.WithBreakerOptions(breaker.WithProbes(1))},
		"bulkhead: WithBulkheadLimit is not allowed together with a part":         {stack.WithBulkhead(nil), stack.WithBulkheadLimit(stack.DefaultBulkheadLimit)},
		"telemetry: WithMeterProvider: nil is not allowed":                        {stack.WithTelemetry(telemetry.WithMeterProvider(nil))},
		"retry: policy \"orders\": backoff: <nil> is not allowed: want a backoff": {nil, stack.WithRetry(retry.WithBackoff(nil))},
	} {
		_, err := stack.New("orders", options...)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, `stack: "orders": `)
	}
	_, err := stack.New(" ")
	require.ErrorContains(t, err, "stack: name: ")
	assert.Panics(t, func() { stack.MustNew(" ") })
}

// oddBudget cannot be compared with another.
type oddBudget struct{ x any }

func (oddBudget) Deposit()       {}
func (oddBudget) Withdraw() bool { return false }
func (oddBudget) Refund()        {}

func TestBudgetThatCannotBeCompared(t *testing.T) {
	t.Parallel()
	s, err := stack.New("orders", stack.WithBudget(oddBudget{[]int{1}}))
	require.NoError(t, err)
	require.ErrorIs(t, s.Do(t.Context(), func(context.Context) error { return errDown }), retry.ErrBudgetExhausted)
}

func TestNil(t *testing.T) {
	t.Parallel()
	var none *stack.Stack
	value, err := stack.DoValue(t.Context(), none, func(context.Context) (int, error) { return 7, errDown })
	assert.Equal(t, 7, value)
	assert.Equal(t, errDown, err)
	assert.Nil(t, stack.Named(none, "get"))
	assert.Nil(t, none.Retry())
	assert.Nil(t, none.Breaker())
	assert.Nil(t, none.Bulkhead())
	assert.Nil(t, none.Budget())
	assert.Empty(t, none.Stages())
	assert.Equal(t, resilience.Description{Kind: "stack"}, none.Describe())
	none.Warn(t.Context(), resilience.Problem{})

	s := stack.MustNew("orders")
	require.ErrorContains(t, s.Do(t.Context(), nil), "the operation is nil")
	_, err = stack.DoValue[int](t.Context(), s, nil)
	require.ErrorContains(t, err, "the operation is nil")
	//nolint:staticcheck // that is what is tested
	require.ErrorContains(t, s.Do(nil, func(context.Context) error { return nil }), "the context is nil")
}

// A call goes through all parts in their order, and each does its work.
func TestOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := stack.MustNew("orders", stack.WithRetry(retry.WithInitialDelay(0)), stack.WithBreakerOptions(breaker.WithConsecutiveFailures(6)))
		asked := 0
		down := func(context.Context) (int, error) { asked++; return asked, errDown }

		value, err := stack.DoValue(t.Context(), s, down)
		assert.Equal(t, 4, value)
		require.ErrorIs(t, err, retry.ErrExhausted)
		value, err = stack.DoValue(t.Context(), s, down)
		assert.Zero(t, value, "the breaker rejected the third attempt, which has no value")
		require.ErrorIs(t, err, breaker.ErrOpen)
		assert.Equal(t, 6, asked)
		require.ErrorIs(t, s.Do(t.Context(), func(context.Context) error { asked++; return nil }), breaker.ErrOpen)
		assert.Equal(t, 6, asked)

		time.Sleep(breaker.DefaultOpenTime)
		for range breaker.DefaultProbes {
			value, err = stack.DoValue(t.Context(), s, func(context.Context) (int, error) { return 1, nil })
			require.NoError(t, err)
			assert.Equal(t, 1, value)
		}
		assert.Equal(t, breaker.Closed, s.Breaker().State())
		assert.Zero(t, s.Bulkhead().Inflight())
	})
}

func TestTimeouts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		s := stack.MustNew("orders", stack.WithTimeout(10*time.Second), stack.WithAttemptTimeout(time.Second),
			stack.WithRetry(retry.WithJitter(backoff.NoJitter), retry.WithMaxRetries(1)))
		began := time.Now()
		var e *timeout.Error
		require.ErrorAs(t, s.Do(t.Context(), hang), &e)
		assert.Equal(t, "orders.attempt", e.Name)
		assert.Equal(t, 3*time.Second, time.Since(began), "two attempts and a delay")

		s = stack.MustNew("orders", stack.WithTimeout(2*time.Second), stack.WithAttemptTimeout(1500*time.Millisecond),
			stack.WithRetry(retry.WithInitialDelay(0)))
		began = time.Now()
		require.ErrorAs(t, s.Do(t.Context(), hang), &e)
		assert.Equal(t, "orders", e.Name)
		assert.Equal(t, 2*time.Second, time.Since(began))
	})
}

// The breaker takes the opinion of the retry policy.
func TestSharedOpinion(t *testing.T) {
	t.Parallel()
	errNotFound := errors.New("no such order")
	s := stack.MustNew("orders", stack.WithRetry(retry.WithPermanent(errNotFound)), stack.WithBreakerOptions(breaker.WithConsecutiveFailures(1)))
	require.Equal(t, errNotFound, s.Do(t.Context(), func(context.Context) error { return errNotFound }))
	assert.Equal(t, breaker.Closed, s.Breaker().State())
	require.Error(t, s.Do(t.Context(), func(context.Context) error { return errors.New("unknown") }))
	assert.Equal(t, breaker.Open, s.Breaker().State())
}

// One troubled call can be followed through all parts, by the events on its span.
func TestOneCallInTelemetry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		signals := signaltest.New()
		s := stack.MustNew("orders", stack.WithTelemetry(signals.Options()...), stack.WithAttemptTimeout(time.Second),
			stack.WithRetry(retry.WithInitialDelay(time.Second), retry.WithJitter(backoff.NoJitter)),
			stack.WithBreakerOptions(breaker.WithConsecutiveFailures(2)), stack.WithBulkheadLimit(1, bulkhead.WithQueue(1)))
		get := stack.Named(s, "orders.get")
		require.NoError(t, s.Bulkhead().Acquire(t.Context()))
		go func() { time.Sleep(500 * time.Millisecond); s.Bulkhead().Release() }()
		events := signals.Span(t.Context(), func(ctx context.Context) {
			calls := 0
			require.ErrorIs(t, get.Do(ctx, func(ctx context.Context) error {
				if calls++; calls == 1 {
					<-ctx.Done()
					return ctx.Err()
				}
				return errDown
			}), breaker.ErrOpen)
		})
		type shown struct{ name, policy, kind any }
		var got []shown
		for _, e := range events {
			got = append(got, shown{e.Name, e.Attributes[telemetry.AttrPolicyName], e.Attributes[telemetry.AttrPolicyKind]})
		}
		assert.Equal(t, []shown{
			{telemetry.EventCallWaited, "orders", "bulkhead"},
			{telemetry.EventTimeoutExceeded, "orders.attempt", "timeout"},
			{telemetry.EventAttemptFailed, "orders.get", nil},
			{telemetry.EventRetryScheduled, "orders.get", nil},
			{telemetry.EventBreakerStateChanged, "orders", "breaker"},
			{telemetry.EventAttemptFailed, "orders.get", nil},
			{telemetry.EventRetryScheduled, "orders.get", nil},
			{telemetry.EventCallRejected, "orders", "breaker"},
			{telemetry.EventAttemptFailed, "orders.get", nil},
			{telemetry.EventRetryStopped, "orders.get", nil},
		}, got)
		assert.Equal(t, "breaker_open", events[8].Attributes[attribute.Key("error.type")])
		assert.Equal(t, map[string]float64{"orders": 1}, signals.Metric(t, telemetry.MetricBulkheadWait))
	})
}

func TestWrongTimesAreTold(t *testing.T) {
	t.Parallel()
	signals := signaltest.New()
	stack.MustNew("orders", stack.WithTimeout(time.Second), stack.WithAttemptTimeout(2*time.Second), stack.WithTelemetry(signals.Options()...))
	assert.Equal(t, map[string]float64{"timeout_too_short orders": 1}, signals.Metric(t, telemetry.MetricCompositionWarnings))
	require.Len(t, signals.Lines(), 1)

	problems := resilience.Check(stack.MustNew("orders", stack.WithTimeout(time.Second), stack.WithAttemptTimeout(2*time.Second)))
	require.Len(t, problems, 1, "it looks into a stack")
	assert.Equal(t, resilience.TimeoutTooShort, problems[0].Reason)

	outer := retry.MustNew("outer")
	problems = resilience.Check(outer, stack.MustNew("orders"))
	require.Len(t, problems, 1)
	assert.Equal(t, resilience.NestedRetries, problems[0].Reason)
}

func TestDecorators(t *testing.T) {
	t.Parallel()
	s := stack.MustNew("orders", stack.WithRetry(retry.WithInitialDelay(0)))
	calls := 0
	get := stack.Wrap1(s, func(_ context.Context, id int) (int, error) {
		if calls++; calls == 1 {
			return 0, errDown
		}
		return id, nil
	})
	value, err := get(t.Context(), 7)
	require.NoError(t, err)
	assert.Equal(t, 7, value)
	value, err = stack.Wrap(s, func(context.Context) (int, error) { return 8, nil })(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 8, value)
	renamed := resilience.Named(s, "orders.get").(*stack.Stack)
	assert.Equal(t, "orders.get", renamed.Retry().Name())
	assert.Same(t, s.Breaker(), renamed.Breaker())
}

// Each part that is given or made by default does its work in a call.
func TestEveryPartIsAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		off := stack.WithTelemetry(telemetry.Off())
		ok := func(context.Context) error { return nil }

		limit := ratelimit.MustNew("l", 1)
		require.NoError(t, limit.Wait(t.Context()))
		require.ErrorIs(t, stack.MustNew("s", off, stack.WithRateLimit(limit)).Do(t.Context(), ok), ratelimit.ErrRate)
		require.ErrorIs(t, stack.Named(stack.MustNew("s", off, stack.WithRateLimit(limit)), "n").Do(t.Context(), ok), ratelimit.ErrRate)

		learned := adaptive.MustNewRateLimiter("a", adaptive.WithMaxWait(0))
		limited := stack.MustNew("s", off, stack.WithAdaptiveRate(learned), stack.WithRetry(retry.WithMaxRetries(0)))
		throttled := func(context.Context) error { return resilience.RetryAfter(errDown, 0) }
		for range 3 {
			_ = limited.Do(t.Context(), throttled)
		}
		require.ErrorIs(t, limited.Do(t.Context(), ok), adaptive.ErrRate)

		throttle := adaptive.MustNewThrottle("t")
		rejected := 0
		spared := stack.MustNew("s", off, stack.WithThrottle(throttle), stack.WithBreaker(nil), stack.WithRetry(retry.WithMaxRetries(0)))
		for range 100 {
			if errors.Is(spared.Do(t.Context(), func(context.Context) error { return errDown }), adaptive.ErrThrottled) {
				rejected++
			}
		}
		assert.Positive(t, rejected)

		full := stack.MustNew("s", off, stack.WithBulkheadLimit(1))
		require.NoError(t, full.Bulkhead().Acquire(t.Context()))
		require.ErrorIs(t, full.Do(t.Context(), ok), bulkhead.ErrFull)

		capped := stack.MustNew("s", off, stack.WithRetry(retry.WithInitialDelay(0), retry.WithMaxRetries(1000)), stack.WithBreaker(nil))
		assert.Equal(t, capped.Budget(), capped.Retry().Budget())
		require.ErrorIs(t, capped.Do(t.Context(), func(context.Context) error { return errDown }), retry.ErrBudgetExhausted)
	})
}

// Options of one part add up over several calls, and the user's come after the stack's.
func TestOptionsAddUp(t *testing.T) {
	t.Parallel()
	s := stack.MustNew("orders",
		stack.WithRetry(retry.WithMaxRetries(1)), stack.WithRetry(retry.WithInitialDelay(time.Minute)),
		stack.WithBreakerOptions(breaker.WithConsecutiveFailures(1)), stack.WithBreakerOptions(breaker.WithUnknown(resilience.ClassPermanent)),
		stack.WithTelemetry(telemetry.WithSpans()), stack.WithTelemetry(telemetry.Off()))
	assert.Equal(t, 1, s.Retry().Config().MaxRetries)
	assert.Equal(t, time.Minute, s.Retry().Config().InitialDelay)
	require.Error(t, s.Do(t.Context(), func(context.Context) error { return errors.New("unknown") }))
	assert.Equal(t, breaker.Closed, s.Breaker().State())
	require.Error(t, stack.MustNew("orders", stack.WithTimeout(0)).Do(t.Context(), func(ctx context.Context) error {
		deadline, bounded := ctx.Deadline()
		assert.True(t, bounded && time.Until(deadline) > 9*time.Second, "the attempt timeout alone")
		return resilience.Permanent(errDown)
	}))
	_, err := stack.New("orders", stack.WithTimeout(-1), stack.WithAttemptTimeout(-2))
	require.ErrorContains(t, err, "timeout: -1ns")
}

// virtualClock is a clock that never moves, and notes who uses it.
type virtualClock struct {
	clock.Clock
	limits  []time.Duration
	waits   int
	reads   int
	signals int
}

func (c *virtualClock) Now() time.Time          { c.reads++; return time.Unix(1e9, 0) }
func (*virtualClock) Random() float64           { return 0.5 }
func (c *virtualClock) NewSignal() clock.Signal { c.signals++; return elapsed{} }
func (c *virtualClock) Wait(ctx context.Context, _ time.Duration) error {
	c.waits++
	return ctx.Err()
}

func (c *virtualClock) WithTimeoutCause(ctx context.Context, d time.Duration, _ error) (context.Context, context.CancelFunc) {
	c.limits = append(c.limits, d)
	return context.WithCancel(ctx)
}

// elapsed is a signal whose time is always over.
type elapsed struct{}

func (elapsed) Set()                                           {}
func (elapsed) Wait(context.Context, time.Duration) clock.Wake { return clock.WakeElapsed }

// All parts run on the clock of the stack.
func TestAnotherClock(t *testing.T) {
	t.Parallel()
	c := &virtualClock{}
	s := stack.MustNew("orders", stack.WithClock(c), stack.WithRetry(retry.WithMaxRetries(1)),
		stack.WithBulkheadLimit(1, bulkhead.WithQueue(1), bulkhead.WithMaxWait(time.Hour)), stack.WithTelemetry(telemetry.Off()))
	require.Error(t, s.Do(t.Context(), func(context.Context) error { return errDown }))
	assert.Equal(t, []time.Duration{30 * time.Second, 10 * time.Second, 10 * time.Second}, c.limits)
	assert.Equal(t, 1, c.waits, "of the retry")
	require.NoError(t, s.Bulkhead().Acquire(t.Context()))
	require.ErrorIs(t, s.Do(t.Context(), func(context.Context) error { return nil }), bulkhead.ErrFull)
	assert.Equal(t, 1, c.signals, "of the bulkhead")
	reads := c.reads
	_ = s.Breaker().Counts()
	assert.Greater(t, c.reads, reads)
	reads = c.reads
	_ = s.Budget().(*budget.Budget).Tokens()
	assert.Greater(t, c.reads, reads)
}

// All parts that the stack makes emit as it is told.
func TestEveryPartEmits(t *testing.T) {
	t.Parallel()
	signals := signaltest.New()
	s := stack.MustNew("orders", stack.WithTelemetry(signals.Metrics()...))
	require.NoError(t, s.Do(t.Context(), func(context.Context) error { return nil }))
	for metric, key := range map[string]string{
		telemetry.MetricTimeoutCalls: "orders completed", telemetry.MetricRetryCalls: "success orders",
		telemetry.MetricBreakerCalls: "orders success", telemetry.MetricBulkheadCalls: "orders admitted",
	} {
		points := signals.Metric(t, metric)
		value, there := points[key]
		if metric == telemetry.MetricRetryCalls && !there {
			value = points["orders success"]
		}
		assert.Equal(t, 1.0, value, "%s: %v", metric, points)
	}
	assert.Equal(t, 1.0, signals.Metric(t, telemetry.MetricTimeoutCalls)["orders.attempt completed"])
	assert.Contains(t, signals.Metric(t, telemetry.MetricBudgetTokens), "orders")

	// A stack that is not allowed leaves the gauges of one that lives alone.
	s.Breaker().ForceOpen()
	for _, bad := range []stack.Option{
		stack.WithBulkheadLimit(0), stack.WithRetry(retry.WithMaxDelay(-1)), stack.WithBreakerOptions(breaker.WithProbes(0)),
	} {
		_, err := stack.New("orders", stack.WithTelemetry(signals.Metrics()...), bad)
		require.Error(t, err)
		assert.Equal(t, 1.0, signals.Metric(t, telemetry.MetricBreakerState)["forced_open orders"])
	}
}

// The untroubled path allocates nothing where no timeout has to be armed.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	soon, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for name, tt := range map[string]struct {
		ctx     context.Context
		options []stack.Option
	}{
		"the caller's deadline is sooner": {soon, nil},
		"no timeouts":                     {t.Context(), []stack.Option{stack.WithTimeout(0), stack.WithAttemptTimeout(0)}},
		"all parts": {soon, []stack.Option{
			stack.WithRateLimit(ratelimit.MustNew("orders", 1e6, ratelimit.WithBurst(1_000_000))), stack.WithAdaptiveRate(adaptive.MustNewRateLimiter("orders")),
			stack.WithThrottle(adaptive.MustNewThrottle("orders")),
		}},
	} {
		for how, telemetry := range map[string][]telemetry.Option{"off": {telemetry.Off()}, "metrics": signaltest.New().Metrics()} {
			s := stack.MustNew("orders", append(tt.options, stack.WithTelemetry(telemetry...))...)
			id := 0 // operations capture what they need
			assert.Zero(t, testing.AllocsPerRun(100, func() {
				id++
				if v, err := stack.DoValue(tt.ctx, s, func(context.Context) (int, error) { return id, nil }); v != id || err != nil {
					t.Error("another result", v, err)
				}
			}), "%s, telemetry %s", name, how)
		}
	}
}
