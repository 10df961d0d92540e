package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/adaptive"
	"github.com/observable-go/toolkit/resilience/breaker"
	"github.com/observable-go/toolkit/resilience/bulkhead"
	"github.com/observable-go/toolkit/resilience/ratelimit"
	"github.com/observable-go/toolkit/resilience/telemetry"
	"github.com/observable-go/toolkit/resilience/timeout"
)

var errIgnored = errors.New("it says nothing about the callee")

// through sends a call through a guard.
func (tr *traffic) through(guard resilience.Policy, policy, call, plan string) error {
	return tr.call(tr.t.Context(), guard, policy, call, plan)
}

// sendToBreakers opens a breaker, and lets another close again.
func (tr *traffic) sendToBreakers() {
	const opened, recovered = "breaker.opened", "breaker.recovered"
	b, err := breaker.New(opened, breaker.WithConsecutiveFailures(3), breaker.WithOpenTime(never), breaker.WithSlowRatio(1, never),
		breaker.WithIgnored(resilience.MatchIs(errIgnored)), breaker.WithTelemetry(tr.telemetry()))
	require.NoError(tr.t, err)
	for i, plan := range []string{"200", "200", "503", "503", "503"} {
		assert.NotErrorIs(tr.t, tr.through(b, opened, fmt.Sprint("opens", i), plan), breaker.ErrOpen)
		if i == 1 {
			require.ErrorIs(tr.t, b.Do(tr.t.Context(), func(context.Context) error { return errIgnored }), errIgnored)
		}
	}
	for i := range many {
		require.ErrorIs(tr.t, tr.through(b, opened, fmt.Sprint("rejected-by-breaker", i), "200"), breaker.ErrOpen)
	}
	tr.count(telemetry.MetricBreakerCalls, 1, opened, "ignored")
	tr.count(telemetry.MetricBreakerCalls, many, opened, "rejected")
	tr.count(telemetry.MetricBreakerTransitions, 1, opened, "open")
	tr.count(telemetry.MetricBreakerState, 1, opened, "open")

	c, err := breaker.New(recovered, breaker.WithConsecutiveFailures(1), breaker.WithOpenTime(time.Nanosecond), breaker.WithProbes(1),
		breaker.WithTelemetry(tr.telemetry()))
	require.NoError(tr.t, err)
	const outages = 8
	for i := range outages {
		require.Error(tr.t, tr.through(c, recovered, fmt.Sprint("fails-once", i), "503"))
		require.NoError(tr.t, tr.through(c, recovered, fmt.Sprint("is-probe", i), "200"))
	}
	for _, state := range []string{"open", "half_open", "closed"} {
		tr.count(telemetry.MetricBreakerTransitions, outages, recovered, state)
	}
	tr.count(telemetry.MetricBreakerState, 1, recovered, "closed")

	slow, err := breaker.New("breaker.slow", breaker.WithSlowRatio(1, time.Nanosecond), breaker.WithCountWindow(many),
		breaker.WithTelemetry(tr.telemetry()))
	require.NoError(tr.t, err)
	require.NoError(tr.t, tr.through(slow, "breaker.slow", "is-slow", "200"))
	require.Error(tr.t, tr.through(slow, "breaker.slow", "is-slow-and-fails", "503"))
	tr.count(telemetry.MetricBreakerState, 1, "breaker.slow", "closed")

	// The window of a breaker that opened is a new one: there is nothing in it.
	tr.count(telemetry.MetricBreakerFailureRatio, 1.0/2, "breaker.slow")
	tr.count(telemetry.MetricBreakerSlowRatio, 1, "breaker.slow")

	for _, policy := range []string{opened, recovered, "breaker.slow"} {
		for _, log := range tr.callee.calls(policy) {
			for _, e := range log {
				tr.count(telemetry.MetricBreakerCalls, 1, policy, map[int]string{200: "success", 503: "failure"}[e.status])
			}
		}
	}
}

// sendToBulkhead fills a bulkhead of one slot and one place in the queue. When it returns a call
// runs and another waits, until release is called; then both end.
func (tr *traffic) sendToBulkhead() (release func()) {
	const policy = "bulkhead"
	b, err := bulkhead.New(policy, 1, bulkhead.WithQueue(1), bulkhead.WithTelemetry(tr.telemetry()))
	require.NoError(tr.t, err)
	send := func(ctx context.Context, call string) (ended chan error) {
		ended = make(chan error, 1)
		go func() { ended <- tr.callHeld(ctx, b, policy, call) }()
		return ended
	}
	queued := func(n int) {
		require.Eventually(tr.t, func() bool { return b.Queued() == n }, waitLimit, pollInterval)
	}

	releaseFirst := tr.callee.holding("first")
	first := send(tr.t.Context(), "first")
	require.Eventually(tr.t, func() bool { return b.Inflight() == 1 }, waitLimit, pollInterval)
	ctx, cancel := context.WithCancel(tr.t.Context())
	leaves := send(ctx, "leaves")
	queued(1)
	require.ErrorIs(tr.t, <-send(tr.t.Context(), "one-too-many"), bulkhead.ErrFull)
	cancel()
	require.ErrorIs(tr.t, <-leaves, context.Canceled)

	releaseSecond := tr.callee.holding("second")
	second := send(tr.t.Context(), "second")
	queued(1)
	releaseFirst()
	require.NoError(tr.t, <-first)
	queued(0)
	third := send(tr.t.Context(), "third")
	queued(1)

	tr.count(telemetry.MetricBulkheadCalls, 1, policy, "rejected")
	tr.count(telemetry.MetricBulkheadCalls, 1, policy, "canceled")
	tr.count(telemetry.MetricBulkheadCalls, 2, policy, "admitted")
	tr.count(telemetry.MetricBulkheadWait, 1, policy)
	tr.count(telemetry.MetricBulkheadLimit, 1, policy)
	tr.count(telemetry.MetricBulkheadInflight, 1, policy)
	tr.count(telemetry.MetricBulkheadQueued, 1, policy)
	return func() {
		releaseSecond()
		require.NoError(tr.t, <-second)
		require.NoError(tr.t, <-third)
		assert.Len(tr.t, tr.callee.calls(policy), 3, "calls that the bulkhead admitted")
	}
}

// callHeld sends a call that the callee answers when it is released. It has no trace of its own.
func (tr *traffic) callHeld(ctx context.Context, guard resilience.Policy, policy, call string) error {
	return guard.Do(ctx, func(ctx context.Context) error { return tr.callee.ask(ctx, policy, call, hold) })
}

// sendToLimits sends calls faster than rate limits allow.
func (tr *traffic) sendToLimits() {
	const strict, patient = "ratelimit.strict", "ratelimit.patient"
	const onceAnHour = 1.0 / 3600
	l, err := ratelimit.New(strict, onceAnHour, ratelimit.WithTelemetry(tr.telemetry()))
	require.NoError(tr.t, err)
	require.NoError(tr.t, tr.through(l, strict, "in-time", "200"))
	for i := range 3 {
		require.ErrorIs(tr.t, tr.through(l, strict, fmt.Sprint("too-early", i), "200"), ratelimit.ErrRate)
	}
	// The next turn is as far away when a call comes, however long the call before took.
	const rate = 10
	p, err := ratelimit.New(patient, onceAnHour, ratelimit.WithMaxWait(never), ratelimit.WithTelemetry(tr.telemetry()))
	require.NoError(tr.t, err)
	for i := range 3 {
		require.NoError(tr.t, p.SetRate(rate))
		require.NoError(tr.t, tr.through(p, patient, fmt.Sprint("waits", i), "200"))
		require.NoError(tr.t, p.SetRate(onceAnHour))
	}
	ctx, cancel := context.WithCancel(tr.t.Context())
	defer cancel()
	time.AfterFunc(10*time.Millisecond, cancel)
	require.ErrorIs(tr.t, tr.callHeld(ctx, p, patient, "left-turn"), context.Canceled)

	tr.count(telemetry.MetricRateLimitCalls, float64(tr.callee.requests(strict)), strict, "admitted")
	tr.count(telemetry.MetricRateLimitCalls, 3, strict, "rejected")
	tr.count(telemetry.MetricRateLimitCalls, float64(tr.callee.requests(patient)), patient, "admitted")
	tr.count(telemetry.MetricRateLimitCalls, 1, patient, "canceled")
	tr.count(telemetry.MetricRateLimitWait, 2, patient)
	tr.count(telemetry.MetricRateLimitRate, onceAnHour, strict)
	tr.count(telemetry.MetricRateLimitRate, onceAnHour, patient)
}

// sendToAdaptive sends calls to a callee that throttles, and to one that fails.
func (tr *traffic) sendToAdaptive() {
	const limited, patient, throttled = "adaptive.limited", "adaptive.patient", "throttle"
	throttles := adaptive.WithThrottling(func(err error) bool { return errors.Is(err, status(503)) })
	l, err := adaptive.NewRateLimiter(limited, throttles, adaptive.WithMaxWait(0), adaptive.WithTelemetry(tr.telemetry()))
	require.NoError(tr.t, err)
	rejected := 0
	for i := 0; rejected < 3 && i < 100; i++ {
		if errors.Is(tr.through(l, limited, fmt.Sprint("throttled", i), "503"), adaptive.ErrRate) {
			rejected++
		}
	}
	tr.count(telemetry.MetricAdaptiveCalls, float64(tr.callee.requests(limited)), limited, "admitted")
	tr.count(telemetry.MetricAdaptiveCalls, float64(rejected), limited, "rejected")

	p, err := adaptive.NewRateLimiter(patient, throttles, adaptive.WithTelemetry(tr.telemetry()))
	require.NoError(tr.t, err)
	require.Error(tr.t, tr.through(p, patient, "throttled-patiently", "503"))
	for i := range 3 {
		require.NoError(tr.t, tr.through(p, patient, fmt.Sprint("slowed", i), "200"))
	}
	tr.count(telemetry.MetricAdaptiveCalls, float64(tr.callee.requests(patient)), patient, "admitted")

	th, err := adaptive.NewThrottle(throttled, adaptive.WithMultiplier(1.1), adaptive.WithTelemetry(tr.telemetry()))
	require.NoError(tr.t, err)
	const calls = 100
	for i := range calls {
		_ = tr.through(th, throttled, fmt.Sprint("shed", i), "503")
	}
	sent := tr.callee.requests(throttled)
	tr.count(telemetry.MetricThrottleCalls, float64(sent), throttled, "admitted")
	tr.count(telemetry.MetricThrottleCalls, float64(calls-sent), throttled, "rejected")
}

// sendToTimeout sends calls that are in time to a timeout that is long, and calls that are not to
// a short one. One panics.
func (tr *traffic) sendToTimeout() {
	const patient, strict = "timeout.patient", "timeout.strict"
	p, err := timeout.New(patient, time.Minute, timeout.WithTelemetry(tr.telemetry()))
	require.NoError(tr.t, err)
	for i := range many {
		require.NoError(tr.t, tr.through(p, patient, fmt.Sprint("quick", i), "200"))
	}
	assert.Panics(tr.t, func() { _ = p.Do(tr.t.Context(), func(context.Context) error { panic("on purpose") }) })
	s, err := timeout.New(strict, strictLimit, timeout.WithTelemetry(tr.telemetry()))
	require.NoError(tr.t, err)
	for i := range many {
		call := fmt.Sprint("too-slow", i)
		tr.traces[call] = tr.traced(tr.t.Context(), call, func(ctx context.Context) {
			require.ErrorIs(tr.t, s.Do(ctx, func(limited context.Context) error {
				// The callee hears of it in any case, and then it takes too long.
				if err := tr.callee.ask(ctx, strict, call, "200"); err != nil {
					return err
				}
				<-limited.Done()
				return limited.Err()
			}), context.DeadlineExceeded)
		})
	}
	tr.count(telemetry.MetricTimeoutCalls, float64(tr.callee.requests(patient)), patient, "completed")
	tr.count(telemetry.MetricTimeoutCalls, float64(tr.callee.requests(strict)), strict, "timed_out")
	tr.count(telemetry.MetricTimeoutCalls, 1, patient, "panic")
}

const strictLimit = 10 * time.Millisecond
