package compare

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/hedgepolicy"
	"github.com/stretchr/testify/assert"

	"github.com/observable-go/toolkit/resilience/hedge"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// A tail is a callee most of whose requests take about the usual time, and 2 % of them fifty
// times that, by chance: another copy of the same request is another throw.
type tail struct{ usual time.Duration }

func (c tail) request(random *rand.Rand) time.Duration {
	takes := float64(c.usual) * math.Exp(0.2*random.NormFloat64())
	if random.Float64() < 0.02 {
		takes *= 50
	}
	return time.Duration(takes)
}

// hedged makes one call of an operation that obeys its context.
type hedged func(ctx context.Context, op func(ctx context.Context) (int, error)) (int, error)

func hedgedBy(opts ...hedge.Option) hedged {
	h := hedge.MustNew("compare", append(opts, hedge.WithTelemetry(telemetry.Off()))...)
	return func(ctx context.Context, op func(ctx context.Context) (int, error)) (int, error) {
		return hedge.DoValue(ctx, h, op, nil)
	}
}

func hedgedByFailsafe(policy hedgepolicy.HedgePolicy[int]) hedged {
	executor := failsafe.With[int](policy)
	return func(ctx context.Context, op func(ctx context.Context) (int, error)) (int, error) {
		return executor.WithContext(ctx).GetWithExecution(func(e failsafe.Execution[int]) (int, error) { return op(e.Context()) })
	}
}

// latencies are what the calls of a run took, sorted, and how many requests they made.
type latencies struct {
	sorted   []time.Duration
	requests int
}

func (l *latencies) at(quantile float64) time.Duration {
	return l.sorted[min(int(quantile*float64(len(l.sorted))), len(l.sorted)-1)]
}

// extra returns the load beyond one request a call.
func (l *latencies) extra() float64 { return float64(l.requests)/float64(len(l.sorted)) - 1 }

// measure makes calls one after the other.
func measure(t *testing.T, calls int, callee tail, call hedged) *latencies {
	t.Helper()
	l := &latencies{}
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(1, 2))
	request := func(ctx context.Context) (int, error) {
		mu.Lock()
		l.requests++
		takes := callee.request(random)
		mu.Unlock()
		select {
		case <-time.After(takes):
			return 1, nil
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
	for range calls {
		began := time.Now()
		value, err := call(t.Context(), request)
		l.sorted = append(l.sorted, time.Since(began))
		assert.NoError(t, err)
		assert.Equal(t, 1, value)
	}
	slices.Sort(l.sorted)
	return l
}

// TestHedge compares the slowest calls, and what they cost, without hedging and with it, from
// the first call on: of a callee, and of one that is three times slower than was thought.
func TestHedge(t *testing.T) {
	const (
		calls = 10_000
		usual = 10 * time.Millisecond
		fixed = 20 * time.Millisecond // right for the usual time
	)
	once := func(ctx context.Context, op func(ctx context.Context) (int, error)) (int, error) { return op(ctx) }
	for _, callee := range []tail{{usual}, {3 * usual}} {
		var without *latencies
		for _, c := range []struct {
			name   string
			call   func() hedged
			factor float64    // by which p99 is lower, at least
			extra  [2]float64 // load, from and to, when all is as usual
			slow   [2]float64 // and when the callee is slower
		}{
			{"without", func() hedged { return once }, 1, [2]float64{0, 0}, [2]float64{0, 0}},
			{toolkit + ", 20 ms", func() hedged { return hedgedBy(hedge.WithDelay(fixed)) }, 15, [2]float64{0.015, 0.025}, [2]float64{0.9, 1}},
			{toolkit + ", 5 %", func() hedged { return hedgedBy() }, 15, [2]float64{0.045, 0.055}, [2]float64{0.045, 0.055}},
			{failsafeGo + ", 20 ms", func() hedged {
				return hedgedByFailsafe(hedgepolicy.NewWithDelay[int](fixed))
			}, 15, [2]float64{0.015, 0.025}, [2]float64{0.9, 1}},
			{failsafeGo + ", p95", func() hedged {
				return hedgedByFailsafe(hedgepolicy.NewWithDelayQuantile[int](0.95, 1000, 100))
			}, 15, [2]float64{0.045, 0.055}, [2]float64{0.045, 0.055}},
		} {
			synctest.Test(t, func(t *testing.T) {
				got := measure(t, calls, callee, c.call())
				if without == nil {
					without = got
				}
				factor := float64(without.at(0.99)) / float64(got.at(0.99))
				t.Logf("usually %v: %-20s p50 %5.1f ms, p99 %6.1f ms, p99.9 %6.1f ms, load +%.1f %%, p99 lower by a factor of %.1f",
					callee.usual, c.name, milliseconds(got.at(0.5)), milliseconds(got.at(0.99)), milliseconds(got.at(0.999)), 100*got.extra(), factor)
				extra := c.extra
				if callee.usual != usual {
					extra = c.slow
				}
				assert.GreaterOrEqual(t, factor, c.factor, c.name)
				assert.GreaterOrEqual(t, got.extra(), extra[0], c.name)
				assert.LessOrEqual(t, got.extra(), extra[1], c.name)
			})
		}
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
