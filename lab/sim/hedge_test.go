package sim_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/observable-go/toolkit/lab/sim"
	"github.com/observable-go/toolkit/resilience/hedge"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// The copy that lost is cancelled, and wakes at once.
func TestHedge(t *testing.T) {
	t.Parallel()
	in(t, func(w *sim.World) {
		h := hedge.MustNew("h", hedge.WithDelay(100*time.Millisecond), hedge.WithClock(w), hedge.WithTelemetry(telemetry.Off()))
		copies, lost := 0, time.Duration(0)
		value, err := hedge.DoValue(context.Background(), h, func(ctx context.Context) (int, error) {
			copies++
			if copies == 2 {
				return 2, w.Wait(ctx, 50*time.Millisecond)
			}
			err := w.Wait(ctx, time.Minute)
			lost = w.Elapsed()
			return 1, err
		}, nil)
		assert.NoError(t, err)
		assert.Equal(t, 2, value)
		w.Sleep(time.Millisecond)
		assert.Equal(t, 150*time.Millisecond, lost)
	})
}

// BenchmarkHedgedCalls makes calls of which some get a second copy.
func BenchmarkHedgedCalls(b *testing.B) {
	w := sim.New(1)
	defer w.Close()
	h := hedge.MustNew("h", hedge.WithClock(w), hedge.WithTelemetry(telemetry.Off()))
	calls := 0
	for range 100 {
		w.Go(func() {
			for calls < b.N {
				calls++
				_, _ = hedge.DoValue(context.Background(), h, func(ctx context.Context) (int, error) {
					return 0, w.Wait(ctx, time.Duration(w.Rand().ExpFloat64()*float64(10*time.Millisecond)))
				}, nil)
			}
		})
	}
	b.ReportAllocs()
	b.ResetTimer()
	w.Run(time.Duration(1 << 62))
	b.ReportMetric(float64(calls)/b.Elapsed().Seconds(), "calls/s")
}
