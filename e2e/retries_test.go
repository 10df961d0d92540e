package e2e_test

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/adaptive"
	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/breaker"
	"github.com/observable-go/toolkit/resilience/budget"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

const (
	maxRetries  = 2
	maxAttempts = 1 + maxRetries
	shortDelay  = 2 * time.Millisecond
	never       = time.Hour // longer than any test
	many        = 40        // calls in a test are more than 0.1 a second over five minutes
	leastFloor  = 1e-6      // retries a second that a budget grants whatever the calls
)

func every(d time.Duration) backoff.Backoff {
	return backoff.Constant{Interval: d, Jitter: backoff.NoJitter}
}

// policy returns a retry policy of the service with short delays.
func (tr *traffic) policy(name string, opts ...retry.Option) *retry.Policy {
	p, err := retry.New(name, append([]retry.Option{
		retry.WithMaxRetries(maxRetries), retry.WithBackoff(every(shortDelay)), retry.WithTelemetry(tr.telemetry()),
	}, opts...)...)
	require.NoError(tr.t, err)
	return p
}

// call sends a call with a plan through a policy, in a trace of its own.
func (tr *traffic) call(ctx context.Context, p resilience.Policy, policy, call, plan string) (err error) {
	tr.traces[call] = tr.traced(ctx, call, func(ctx context.Context) {
		err = p.Do(ctx, func(ctx context.Context) error { return tr.callee.ask(ctx, policy, call, plan) })
	})
	return err
}

// ordersOutcomes are the calls of a policy that the callee's log tells apart, and how many of each.
var ordersOutcomes = []struct {
	name, plan string
	times      int
}{
	{"once", "200", 24},
	{"twice", "503,200", 4},
	{"thrice", "503,503,200", 2},
	{"in-vain", "503", 8},
	{"permanent", "400", 2},
	{"unclear", "418", 1},
}

// sendOrders sends calls that end in each of the ways that the callee's log tells apart.
func (tr *traffic) sendOrders(p resilience.Policy, policy string) {
	for _, o := range ordersOutcomes {
		for i := range o.times {
			_ = tr.call(tr.t.Context(), p, policy, fmt.Sprint(policy, " ", o.name, " ", i), o.plan)
		}
	}
}

// sendThroughBudget uses up a budget of three retries.
func (tr *traffic) sendThroughBudget() {
	ctx, cancel := context.WithCancel(tr.t.Context())
	b, err := budget.New("orders", budget.WithBurst(3), budget.WithRatio(0), budget.WithFloor(leastFloor),
		budget.WithTelemetry(tr.telemetry()))
	require.NoError(tr.t, err)

	// The caller leaves while the policy waits: the retry was granted and never sent.
	patient := tr.policy("orders.patient", retry.WithBudget(b), retry.WithBackoff(every(never)))
	go func() {
		defer cancel()
		assert.Eventually(tr.t, func() bool { return b.Tokens() < 3 }, waitLimit, pollInterval)
	}()
	require.ErrorIs(tr.t, tr.call(ctx, patient, "orders.patient", "left", "503"), context.Canceled)
	tr.retries("orders.patient", map[string]result{"left": {"canceled", "503"}})

	hasty := tr.policy("orders.hasty", retry.WithBudget(b))
	require.ErrorIs(tr.t, tr.call(tr.t.Context(), hasty, "orders.hasty", "spends-two", "503"), retry.ErrExhausted)
	told := map[string]result{}
	for i := range many {
		call := fmt.Sprint("denied", i)
		require.Error(tr.t, tr.call(tr.t.Context(), hasty, "orders.hasty", call, "503"))
		told[call] = result{"budget_exhausted", "503"}
	}
	tr.retries("orders.hasty", told)

	sent := 0 // retries
	for _, policy := range []string{"orders.patient", "orders.hasty"} {
		for _, log := range tr.callee.calls(policy) {
			sent += len(log) - 1
		}
	}
	assert.Equal(tr.t, 3, sent, "retries that the budget allowed")
	tr.count(telemetry.MetricBudgetWithdrawals, float64(sent+1), "orders", "granted")
	tr.count(telemetry.MetricBudgetWithdrawals, many, "orders", "denied")
	tr.count(telemetry.MetricBudgetRefunds, 1, "orders")
	tr.count(telemetry.MetricBudgetCapacity, 3, "orders")
}

// sendSpecial sends calls that end as the callee cannot know.
func (tr *traffic) sendSpecial() {
	const policy = "orders.special"
	ctx := tr.t.Context()
	p := tr.policy(policy)

	done, cancel := context.WithCancel(ctx)
	cancel()
	require.ErrorIs(tr.t, tr.call(done, p, policy, "not-started", "200"), context.Canceled)
	tr.ended(policy, result{"not_started", "canceled"})

	slow := tr.policy(policy, retry.WithBackoff(every(never)))
	short, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	require.Error(tr.t, tr.call(short, slow, policy, "late", "503"))

	open, err := breaker.New("orders.forced", breaker.WithTelemetry(tr.telemetry()))
	require.NoError(tr.t, err)
	open.ForceOpen()
	require.ErrorIs(tr.t, tr.call(ctx, resilience.Chain(p, open), policy, "refused", "200"), breaker.ErrOpen)
	tr.ended(policy, result{"refused", "breaker_open"})
	tr.count(telemetry.MetricRetryAttempts, 1, policy, "failure", "breaker_open")
	tr.count(telemetry.MetricBreakerCalls, 1, "orders.forced", "rejected")
	tr.count(telemetry.MetricBreakerTransitions, 1, "orders.forced", "forced_open")
	tr.count(telemetry.MetricBreakerState, 1, "orders.forced", "forced_open")

	tr.traces["panics"] = tr.traced(ctx, "panics", func(ctx context.Context) {
		assert.Panics(tr.t, func() { _ = p.Do(ctx, func(context.Context) error { panic("on purpose") }) })
	})
	tr.ended(policy, result{"panic", "panic"})
	tr.count(telemetry.MetricRetryAttempts, 1, policy, "panic", "panic")

	tr.retries(policy, map[string]result{"late": {"deadline", "503"}})
}

// sendDelayed sends calls whose delays follow the share that fails.
func (tr *traffic) sendDelayed() {
	const policy = "orders.delayed"
	delays, err := adaptive.NewDelays("delays", every(shortDelay), adaptive.WithTelemetry(tr.telemetry()))
	require.NoError(tr.t, err)
	p := tr.policy(policy, retry.WithBackoff(delays))
	for i := range 3 {
		require.ErrorIs(tr.t, tr.call(tr.t.Context(), p, policy, fmt.Sprint("fails", i), "503"), retry.ErrExhausted)
	}
	tr.retries(policy, nil)
	failing := 0.0
	for range tr.callee.requests(policy) {
		failing += adaptive.DefaultWeight * (1 - failing)
	}
	tr.count(telemetry.MetricDelaysFailureRatio, failing, "delays")
	tr.count(telemetry.MetricDelaysFactor,
		adaptive.DefaultMinFactor*math.Pow(adaptive.DefaultMaxFactor/adaptive.DefaultMinFactor, failing), "delays")
}

// sendWrong uses compositions that are wrong.
func (tr *traffic) sendWrong() {
	outer, inner := tr.policy("wrong.outer"), tr.policy("wrong.inner")
	require.NoError(tr.t, tr.call(tr.t.Context(), resilience.Chain(outer, inner), "wrong.outer", "nested", "200"))
	tr.retries("wrong.outer", nil)
	tr.ended("wrong.inner", result{"success", ""})
	tr.count(telemetry.MetricRetryAttempts, 1, "wrong.inner", "success")
	tr.count(telemetry.MetricCompositionWarnings, 1, "wrong.outer", "nested_retries")
}
