package bench

import (
	"context"
	"testing"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/sony/gobreaker/v2"

	"github.com/observable-go/toolkit/resilience/breaker"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// BenchmarkBreaker measures calls that a closed breaker lets pass and calls that an open one
// rejects, by one goroutine and by 128 at once.
func BenchmarkBreaker(b *testing.B) {
	off := breaker.WithTelemetry(telemetry.Off())
	for _, open := range []bool{false, true} {
		for name, call := range map[string]func() error{
			"toolkit-off":       toolkitBreaker(open, off),
			"toolkit":           toolkitBreaker(open),
			"toolkit-off-count": toolkitBreaker(open, off, breaker.WithCountWindow(100)),
			"failsafe-go":       failsafeBreaker(open),
			"gobreaker":         gobreakerBreaker(open),
		} {
			state := map[bool]string{false: "closed", true: "open"}[open]
			b.Run("state="+state+"/goroutines=1/by="+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					_ = call()
				}
			})
			b.Run("state="+state+"/goroutines=128/by="+name, func(b *testing.B) {
				b.ReportAllocs()
				b.SetParallelism(64)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						_ = call()
					}
				})
			})
		}
	}
}

func succeed(context.Context) (int, error) { return 1, nil }

func fail(context.Context) (int, error) { return 0, errTransient }

func toolkitBreaker(open bool, options ...breaker.Option) func() error {
	p := breaker.MustNew("b", append(options, breaker.WithConsecutiveFailures(1), breaker.WithOpenTime(time.Hour))...)
	ctx := context.Background()
	if open {
		_, _ = breaker.DoValue(ctx, p, fail)
	}
	return func() error {
		_, err := breaker.DoValue(ctx, p, succeed)
		return err
	}
}

func failsafeBreaker(open bool) func() error {
	p := circuitbreaker.NewBuilder[int]().WithFailureThresholdPeriod(1, 30*time.Second).WithDelay(time.Hour).Build()
	if open {
		p.Open()
	}
	executor := failsafe.With[int](p).WithContext(context.Background())
	return func() error {
		_, err := executor.Get(func() (int, error) { return 1, nil })
		return err
	}
}

func gobreakerBreaker(open bool) func() error {
	p := gobreaker.NewCircuitBreaker[int](gobreaker.Settings{
		Interval: 30 * time.Second, BucketPeriod: 3 * time.Second, Timeout: time.Hour,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= 1 },
	})
	if open {
		_, _ = p.Execute(func() (int, error) { return 0, errTransient })
	}
	return func() error {
		_, err := p.Execute(func() (int, error) { return 1, nil })
		return err
	}
}
