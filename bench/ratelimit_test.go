package bench

import (
	"context"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"

	"github.com/observable-go/toolkit/resilience/ratelimit"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// BenchmarkRateLimit measures decisions of 128 goroutines at once, on two processors,
// beside those of another rate limiter.
func BenchmarkRateLimit(b *testing.B) {
	off := ratelimit.WithTelemetry(telemetry.Off())
	burst := ratelimit.WithBurst(1e6)
	denies := ratelimit.MustNew("l", 1e4, ratelimit.WithBurst(100), off)
	deniesCounted := ratelimit.MustNew("l", 1e4, ratelimit.WithBurst(100))
	deniesPeer := rate.NewLimiter(1e4, 100)
	// These are asked for all that they have, and grant a good part of it.
	grants := ratelimit.MustNew("l", 1e6, burst, off)
	grantsCounted := ratelimit.MustNew("l", 1e6, burst)
	grantsPeer := rate.NewLimiter(1e6, 1e6)
	ctx := context.Background()
	for name, decide := range map[string]func(){
		"denied/by=toolkit-off":  func() { denies.Allow() },
		"denied/by=toolkit":      func() { deniesCounted.Allow() },
		"denied/by=x-time-rate":  func() { deniesPeer.Allow() },
		"mixed/by=toolkit-off":   func() { grants.Allow() },
		"mixed/by=toolkit":       func() { grantsCounted.Allow() },
		"mixed/by=x-time-rate":   func() { grantsPeer.Allow() },
		"refused/by=toolkit-off": func() { _ = denies.Wait(ctx) },
		"refused/by=toolkit":     func() { _ = deniesCounted.Wait(ctx) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(64)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					decide()
				}
			})
		})
	}
}

// BenchmarkRateLimitGranted measures one goroutine whose every call has its turn.
func BenchmarkRateLimitGranted(b *testing.B) {
	ctx := context.Background()
	op := func(context.Context) (int, error) { return 1, nil }
	limit := func() *ratelimit.Limiter {
		return ratelimit.MustNew("l", 1e6, ratelimit.WithBurst(1e6), ratelimit.WithTelemetry(telemetry.Off()))
	}
	b.Run("by=toolkit", func(b *testing.B) {
		b.ReportAllocs()
		l := limit()
		for i := 0; b.Loop(); i++ {
			if i%500_000 == 0 {
				l = limit()
			}
			if _, err := ratelimit.DoValue(ctx, l, op); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("by=x-time-rate", func(b *testing.B) {
		b.ReportAllocs()
		l := rate.NewLimiter(1e6, 1e6)
		for i := 0; b.Loop(); i++ {
			if i%500_000 == 0 {
				l = rate.NewLimiter(1e6, 1e6)
			}
			if err := l.Wait(ctx); err != nil {
				b.Fatal(err)
			}
			_, _ = op(ctx)
		}
	})
}

// At rates whose interval is a whole number of nanoseconds the toolkit and x/time/rate
// decide alike, call by call.
func TestRateLimitDecidesAsItsPeer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		seed := rand.Uint64()
		random := rand.New(rand.NewPCG(seed, 0))
		for range 100 {
			burst := 1 + random.IntN(20)
			callsPerSecond := []float64{1, 10, 100, 1000}[random.IntN(4)]
			interval := time.Duration(float64(time.Second) / callsPerSecond)
			own := ratelimit.MustNew("l", callsPerSecond, ratelimit.WithBurst(burst), ratelimit.WithTelemetry(telemetry.Off()))
			peer := rate.NewLimiter(rate.Limit(callsPerSecond), burst)
			for call := range 1000 {
				// In quarters of an interval, so that rounding of the peer's fractions decides nothing.
				time.Sleep(time.Duration(random.IntN(6)) * interval / 4)
				require.Equal(t, peer.Allow(), own.Allow(), "seed %d call %d rate %v burst %d", seed, call, callsPerSecond, burst)
			}
		}
	})
}
