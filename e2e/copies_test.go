package e2e_test

import (
	"context"
	"fmt"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/fallback"
	"github.com/observable-go/toolkit/resilience/hedge"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// hedge sends a call through a hedge, in a trace of its own.
func (tr *traffic) hedge(ctx context.Context, h *hedge.Hedge, call string, op func(context.Context) error) (err error) {
	tr.traces[call] = tr.traced(ctx, call, func(ctx context.Context) {
		_, err = hedge.DoValue(ctx, h, func(ctx context.Context) (struct{}, error) { return struct{}{}, op(ctx) }, nil)
	})
	return err
}

// sendToHedges sends calls that end in each way that a hedge knows.
func (tr *traffic) sendToHedges() {
	const slow, quick, poor = "hedge.slow", "hedge.quick", "hedge.poor"
	const delay = time.Millisecond
	ctx := tr.t.Context()
	made := func(name string, d time.Duration, opts ...hedge.Option) *hedge.Hedge {
		h, err := hedge.New(name, append(opts, hedge.WithDelay(d), hedge.WithTelemetry(tr.telemetry()))...)
		require.NoError(tr.t, err)
		tr.count(telemetry.MetricHedgeDelay, d.Seconds(), name)
		return h
	}
	ask := func(policy, call, plan string) func(context.Context) error {
		return func(ctx context.Context) error { return tr.callee.ask(ctx, policy, call, plan) }
	}

	h := made(slow, never)
	require.NoError(tr.t, tr.hedge(ctx, h, "alone", ask(slow, "alone", "200")))
	require.Error(tr.t, tr.hedge(ctx, h, "alone-in-vain", ask(slow, "alone-in-vain", "503")))
	left, cancel := context.WithCancel(ctx)
	require.ErrorIs(tr.t, tr.hedge(left, h, "left-alone", func(ctx context.Context) error {
		cancel()
		<-ctx.Done()
		return ctx.Err()
	}), context.Canceled)
	assert.Panics(tr.t, func() {
		_ = tr.hedge(ctx, h, "panics-alone", func(context.Context) error { panic("on purpose") })
	})
	for _, result := range []string{"primary", "failed", "canceled", "panic"} {
		tr.count(telemetry.MetricHedgeCalls, 1, slow, result)
	}

	q := made(quick, delay)
	panicked := make(chan struct{})
	require.NoError(tr.t, tr.hedge(ctx, q, "second-wins", func(ctx context.Context) error {
		if resilience.AttemptFrom(ctx) == nil { // the first copy, which is beaten
			<-ctx.Done()
			defer close(panicked)
			panic("on purpose")
		}
		return tr.callee.ask(ctx, quick, "second-wins", "200")
	}))
	<-panicked
	tr.count(telemetry.MetricHedgeCalls, 1, quick, "hedge")
	tr.count(telemetry.MetricHedgeCopies, float64(tr.callee.requests(quick)), quick, "sent")
	tr.count(telemetry.MetricHedgeCopies, 1, quick, "panicked")

	defer tr.callee.holding("denied-copy")()
	impatient, leave := context.WithCancel(ctx)
	p := made(poor, delay, hedge.WithBudget(denial(leave)))
	require.ErrorIs(tr.t, tr.hedge(impatient, p, "denied-copy", ask(poor, "denied-copy", hold)), context.Canceled)
	tr.count(telemetry.MetricHedgeCalls, 1, poor, "canceled")
	tr.count(telemetry.MetricHedgeCopies, 1, poor, "denied")
}

// A denial is a budget that grants nothing, and is called when it was asked.
type denial func()

func (denial) Deposit() {}
func (denial) Refund()  {}

func (d denial) Withdraw() bool {
	d()
	return false
}

// sendToFallback sends calls that end in each way that a fallback knows.
func (tr *traffic) sendToFallback() {
	const policy = "fallback"
	f, err := fallback.New(policy, fallback.WithTelemetry(tr.telemetry()))
	require.NoError(tr.t, err)
	send := func(call, plan, alternative string) (err error) {
		tr.traces[call] = tr.traced(tr.t.Context(), call, func(ctx context.Context) {
			_, err = fallback.DoValue(ctx, f,
				func(ctx context.Context) (int, error) { return 0, tr.callee.ask(ctx, policy, call, plan) },
				func(ctx context.Context, _ error) (int, error) {
					return 0, tr.callee.ask(ctx, policy+".alternative", call, alternative)
				})
		})
		return err
	}
	for i := range many {
		require.NoError(tr.t, send(fmt.Sprint("well", i), "200", "503"))
	}
	require.NoError(tr.t, send("falls-back", "503", "200"))
	require.Error(tr.t, send("falls-through", "503", "503"))
	require.Error(tr.t, send("passed-on", "400", "200"))
	assert.Panics(tr.t, func() {
		_, _ = fallback.DoValue(tr.t.Context(), f, func(context.Context) (int, error) { panic("on purpose") }, fallback.Value(0))
	})
	alternatives := tr.callee.calls(policy + ".alternative")
	for call, log := range tr.callee.calls(policy) {
		switch alternative, used := alternatives[call]; {
		case log[0].status == 200:
			tr.count(telemetry.MetricFallbackCalls, 1, policy, "primary")
		case !used:
			tr.count(telemetry.MetricFallbackCalls, 1, policy, "passed")
		case alternative[0].status == 200:
			tr.count(telemetry.MetricFallbackCalls, 1, policy, "fallback")
		default:
			tr.count(telemetry.MetricFallbackCalls, 1, policy, "failed")
		}
	}
	tr.count(telemetry.MetricFallbackCalls, 1, policy, "panic")
}
