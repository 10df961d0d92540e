package bench

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/hedgepolicy"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/observable-go/toolkit/resilience/hedge"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// A hedger makes one call of an operation, with further copies or without.
type hedger struct {
	name string
	call caller
}

func hedgeBy(name string, opts ...hedge.Option) hedger {
	h := hedge.MustNew("h", opts...)
	return hedger{name, func(ctx context.Context, op func(context.Context) (int, error)) (int, error) {
		return hedge.DoValue(ctx, h, op, nil)
	}}
}

func hedgeByFailsafe(name string, policy hedgepolicy.HedgePolicy[int]) hedger {
	executor := failsafe.With[int](policy)
	return hedger{name, func(ctx context.Context, op func(context.Context) (int, error)) (int, error) {
		return executor.WithContext(ctx).GetWithExecution(func(e failsafe.Execution[int]) (int, error) { return op(e.Context()) })
	}}
}

func bare(ctx context.Context, op func(context.Context) (int, error)) (int, error) { return op(ctx) }

// BenchmarkHedgedTail calls a callee of which 2 % of the requests take fifty times as long as
// the others, by chance, and reports the slowest calls beside the load that they cost. The
// time of a call is that of the callee: look at p99-ms and extra-load-%.
func BenchmarkHedgedTail(b *testing.B) {
	const usual = 2 * time.Millisecond
	off := hedge.WithTelemetry(telemetry.Off())
	for _, h := range []hedger{
		{"none", bare},
		hedgeBy("toolkit-fixed", off, hedge.WithDelay(2*usual)),
		hedgeBy("toolkit-adaptive", off),
		hedgeByFailsafe("failsafe-go-fixed", hedgepolicy.NewWithDelay[int](2*usual)),
		hedgeByFailsafe("failsafe-go-quantile", hedgepolicy.NewWithDelayQuantile[int](0.95, 1000, 100)),
	} {
		b.Run("by="+h.name, func(b *testing.B) {
			var requests atomic.Int64
			op := func(ctx context.Context) (int, error) {
				requests.Add(1)
				takes := usual + time.Duration(rand.Int64N(int64(usual/2)))
				if rand.IntN(100) < 2 {
					takes *= 50
				}
				return 1, sleep(ctx, takes)
			}
			var mu sync.Mutex
			var all []time.Duration
			b.SetParallelism(16)
			b.RunParallel(func(pb *testing.PB) {
				var own []time.Duration
				for pb.Next() {
					began := time.Now()
					_, _ = h.call(b.Context(), op)
					own = append(own, time.Since(began))
				}
				mu.Lock()
				defer mu.Unlock()
				all = append(all, own...)
			})
			slices.Sort(all)
			b.ReportMetric(float64(all[len(all)/2])/float64(time.Millisecond), "p50-ms")
			b.ReportMetric(float64(all[len(all)*99/100])/float64(time.Millisecond), "p99-ms")
			b.ReportMetric(100*(float64(requests.Load())/float64(len(all))-1), "extra-load-%")
		})
	}
}

// BenchmarkHedgeUntroubled measures what it costs to be ready to hedge: calls that end at
// once.
func BenchmarkHedgeUntroubled(b *testing.B) {
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	metrics := hedge.WithTelemetry(telemetry.WithMeterProvider(provider))
	off := hedge.WithTelemetry(telemetry.Off())
	for _, h := range []hedger{
		{"bare", bare},
		hedgeBy("toolkit-off", off),
		hedgeBy("toolkit-off-fixed", off, hedge.WithDelay(time.Minute)),
		hedgeBy("toolkit+metrics", metrics),
		hedgeByFailsafe("failsafe-go-fixed", hedgepolicy.NewWithDelay[int](time.Minute)),
		hedgeByFailsafe("failsafe-go-quantile", hedgepolicy.NewWithDelayQuantile[int](0.95, 1000, 100)),
	} {
		b.Run("by="+h.name, func(b *testing.B) {
			ctx := b.Context()
			op := func(context.Context) (int, error) { return 1, nil }
			b.ReportAllocs()
			for b.Loop() {
				_, _ = h.call(ctx, op)
			}
		})
	}
}
