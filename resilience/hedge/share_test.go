package hedge_test

import (
	"context"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/observable-go/toolkit/internal/signaltest"
	"github.com/observable-go/toolkit/resilience/hedge"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// A callee is a rate of calls and the median of their latency, by the time that has passed.
type callee struct {
	name    string
	rate    func(at time.Duration) float64
	latency func(at time.Duration) time.Duration
}

func always(rate float64) func(time.Duration) float64 {
	return func(time.Duration) float64 { return rate }
}

// Of any calls no more are hedged than the share and 60, however many are under way when the
// callee becomes slower: the calls that do not measure count as well.
func TestShareUnderLoad(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	busy := func(at time.Duration) bool { return at%(5*second) < second/2 }
	for _, c := range []callee{
		{"steady", always(500), func(time.Duration) time.Duration { return 20 * ms }},
		{"ten times slower once", always(500), func(at time.Duration) time.Duration {
			if at < 5*second {
				return 100 * ms
			}
			return second
		}},
		{"stalls", always(500), func(at time.Duration) time.Duration {
			if in := at % (5 * second); in < second/2 {
				return second/2 - in
			}
			return 20 * ms
		}},
		{"slow when busy", func(at time.Duration) float64 {
			if busy(at) {
				return 2000
			}
			return 100
		}, func(at time.Duration) time.Duration {
			if busy(at) {
				return second
			}
			return 20 * ms
		}},
	} {
		synctest.Test(t, func(t *testing.T) {
			const lasts = 20 * second
			random := rand.New(rand.NewPCG(1, 2))
			h := hedge.MustNew("h", hedge.WithMaxCopies(3), hedge.WithTelemetry(telemetry.Off()))
			var calls, requests atomic.Int64
			var group sync.WaitGroup
			began := time.Now()
			for time.Since(began) < lasts {
				time.Sleep(time.Duration(random.ExpFloat64() * float64(second) / c.rate(time.Since(began))))
				takes := time.Duration(float64(c.latency(time.Since(began))) * math.Exp(0.3*random.NormFloat64()))
				calls.Add(1)
				group.Go(func() {
					_, _ = hedge.DoValue(t.Context(), h, func(ctx context.Context) (int, error) {
						requests.Add(1)
						select {
						case <-time.After(takes): // a copy is as slow as the first
						case <-ctx.Done():
						}
						return 1, ctx.Err()
					}, nil)
				})
				if most := 0.05*float64(calls.Load()) + 60; float64(requests.Load()-calls.Load()) > most {
					t.Fatalf("%s: %d of %d calls, after %v", c.name, requests.Load()-calls.Load(), calls.Load(), time.Since(began))
				}
			}
			group.Wait()
			extra := float64(requests.Load() - calls.Load())
			t.Logf("%s: %d calls, %.0f further copies: %.1f %%", c.name, calls.Load(), extra, 100*extra/float64(calls.Load()))
			assert.LessOrEqual(t, extra, 0.05*float64(calls.Load())+60, c.name)
			assert.Greater(t, extra, 0.03*float64(calls.Load()), "%s: the share is used", c.name)
		})
	}
}

// What the share denies is shown as what a budget denies, and the budget is not asked. Copies
// that the budget denied, or that nobody wanted any more, are not taken from the share.
func TestShareDenies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		signals, budget := signaltest.New(), &fakeBudget{}
		h := hedge.MustNew("h", hedge.WithTelemetry(signals.Metrics()...), hedge.WithBudget(budget),
			hedge.WithAdaptiveDelay(0.01, second-1, second))
		var denied int
		call := func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if budget.grants > 0 && budget.withdrawn.Load() < 200 {
				budget.onWithdraw = cancel
			} else {
				budget.onWithdraw = nil
			}
			events := signals.Span(ctx, func(ctx context.Context) {
				_, _ = hedge.DoValue(ctx, h, func(context.Context) (int, error) { time.Sleep(2 * second); return 1, nil }, nil)
			})
			denied += strings.Count(strings.Join(signaltest.Names(events), " "), telemetry.EventHedgeDenied)
		}
		for range 100 {
			call()
		}
		assert.EqualValues(t, 100, budget.denied.Load())
		budget.grants = math.MaxInt64
		for range 100 {
			call()
		}
		assert.EqualValues(t, 100, budget.refunds.Load())
		for range 100 {
			call()
		}
		time.Sleep(10 * second)
		counts := signals.All(t)
		assert.EqualValues(t, 60, counts[hedgeCopies+"sent"], "and not quite the one that 100 calls add")
		assert.EqualValues(t, 140, counts[hedgeCopies+"denied"])
		assert.Equal(t, 140, denied)
		assert.EqualValues(t, 260, budget.withdrawn.Load())
	})
}

// A fixed delay has no share.
func TestFixedDelayHedgesEverything(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		signals := signaltest.New()
		h := hedge.MustNew("h", hedge.WithTelemetry(signals.Metrics()...), hedge.WithDelay(second))
		for range 200 {
			_, _ = hedge.DoValue(t.Context(), h, func(context.Context) (int, error) { time.Sleep(2 * second); return 1, nil }, nil)
		}
		time.Sleep(10 * second)
		assert.EqualValues(t, 200, signals.All(t)[hedgeCopies+"sent"])
	})
}
