package hedge_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/observable-go/toolkit/internal/signaltest"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/hedge"
)

// What a budget granted for a copy that is not wanted any more goes back.
func TestRefund(t *testing.T) {
	t.Parallel()
	for _, ends := range []string{"the first copy", "the caller's context"} {
		synctest.Test(t, func(t *testing.T) {
			signals := signaltest.New()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			budget := &fakeBudget{grants: 1, onWithdraw: func() {
				if ends == "the first copy" {
					time.Sleep(second)
					return
				}
				cancel()
			}}
			var calls atomic.Int32
			h := hedge.MustNew("h", hedge.WithTelemetry(signals.Metrics()...), hedge.WithDelay(second), hedge.WithSharedBudget(budget))
			_, err := hedge.DoValue(ctx, h, func(context.Context) (int, error) {
				calls.Add(1)
				time.Sleep(3 * second / 2)
				return 1, nil
			}, nil)
			result := "canceled"
			if ends == "the first copy" {
				result = "primary"
			}
			assert.Equal(t, result == "primary", err == nil)
			assert.EqualValues(t, 1, calls.Load())
			assert.EqualValues(t, 1, budget.refunds.Load())
			assert.Equal(t, map[string]float64{hedgeCalls + result: 1, hedgeDelay: 1}, signals.All(t))
			assert.Zero(t, budget.deposits.Load(), "the budget is shared with a retry, which deposits")
			time.Sleep(second)
		})
	}
}

// So does what was granted while a later copy decided and another ran on.
func TestRefundAmongThree(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		signals := signaltest.New()
		budget := &fakeBudget{grants: 2}
		budget.onWithdraw = func() {
			if budget.withdrawn.Load() == 1 {
				time.Sleep(second)
			}
		}
		h := hedge.MustNew("h", hedge.WithTelemetry(signals.Metrics()...),
			hedge.WithDelay(second), hedge.WithMaxCopies(3), hedge.WithBudget(budget))
		_, err := hedge.DoValue(t.Context(), h, func(ctx context.Context) (int, error) {
			if resilience.AttemptFrom(ctx) == nil {
				<-ctx.Done()
				return 0, ctx.Err()
			}
			time.Sleep(3 * second / 2)
			return 2, nil
		}, nil)
		assert.NoError(t, err)
		assert.EqualValues(t, 1, budget.refunds.Load())
		assert.Equal(t, map[string]float64{hedgeCalls + "hedge": 1, hedgeCopies + "sent": 1, hedgeDelay: 1}, signals.All(t))
	})
}

// A budget that panics ends the copies that run, and nothing of theirs is lost.
func TestBudgetThatPanics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		budget := &fakeBudget{onWithdraw: func() { panic("budget") }}
		h := hedge.MustNew("h", hedge.WithDelay(second), hedge.WithBudget(budget))
		lost := make(chan error, 1)
		assert.PanicsWithValue(t, "budget", func() {
			_, _ = hedge.DoValue(t.Context(), h, func(ctx context.Context) (error, error) {
				<-ctx.Done()
				return context.Cause(ctx), nil
			}, func(cause error) { lost <- cause })
		})
		assert.Equal(t, hedge.ErrLost, <-lost)
	})
}

// A value that came while a budget was about to panic is discarded, once, and what a copy
// panicked with meanwhile is told.
func TestBudgetThatPanicsAfterACopyHasHandedIn(t *testing.T) {
	t.Parallel()
	for _, leave := range []func(){func() { panic("budget") }, runtime.Goexit} {
		for _, panics := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				signals := signaltest.New()
				budget := &fakeBudget{onWithdraw: func() { time.Sleep(second); leave() }}
				h := hedge.MustNew("h", hedge.WithTelemetry(signals.Metrics()...), hedge.WithDelay(second), hedge.WithBudget(budget))
				var discarded []int
				done := make(chan struct{})
				go func() {
					defer close(done)
					defer func() { _ = recover() }()
					_, _ = hedge.DoValue(t.Context(), h, func(context.Context) (int, error) {
						time.Sleep(3 * second / 2)
						if panics {
							panic("copy")
						}
						return 7, nil
					}, func(value int) { discarded = append(discarded, value) })
				}()
				<-done
				if panics {
					assert.Empty(t, discarded)
					assert.EqualValues(t, 1, signals.All(t)[hedgeCopies+"panicked"])
					return
				}
				assert.Equal(t, []int{7}, discarded)
			})
		}
	}
}

// Who deposits: a hedge that stands alone, once a call and not for repetitions.
func TestDeposits(t *testing.T) {
	t.Parallel()
	op := func(context.Context) (int, error) { return 0, errors.New("failed") }
	repeated := resilience.WithAttempt(t.Context(), resilience.Attempt{Number: 2})
	alone, shared := &fakeBudget{}, &fakeBudget{}
	for _, h := range []*hedge.Hedge{
		hedge.MustNew("h", hedge.WithBudget(alone)), hedge.MustNew("h", hedge.WithSharedBudget(shared)),
		hedge.MustNew("h", hedge.WithBudget(nil)), hedge.MustNew("h"),
	} {
		for range 3 {
			_, _ = hedge.DoValue(t.Context(), h, op, nil)
			_, _ = hedge.DoValue(repeated, h, op, nil)
		}
	}
	assert.EqualValues(t, 3, alone.deposits.Load())
	assert.Zero(t, shared.deposits.Load())
}
