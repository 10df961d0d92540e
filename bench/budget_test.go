package bench

import (
	"testing"

	"golang.org/x/time/rate"

	"github.com/observable-go/toolkit/resilience/budget"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// BenchmarkBudget measures decisions of 128 goroutines at once beside those of a rate
// limiter.
func BenchmarkBudget(b *testing.B) {
	// Both are asked for more than they have most of the time, as in an outage.
	shared := budget.MustNew("b", budget.WithFloor(1e4), budget.WithTelemetry(telemetry.Off()))
	counted := budget.MustNew("b", budget.WithFloor(1e4))
	full := budget.MustNew("b", budget.WithTelemetry(telemetry.Off()))
	limiter := rate.NewLimiter(1e4, 100)
	for name, decide := range map[string]func(){
		"withdraw/by=toolkit-off":         func() { shared.Withdraw() },
		"withdraw/by=toolkit":             func() { counted.Withdraw() },
		"withdraw/by=x-time-rate":         func() { limiter.Allow() },
		"deposit-full/by=toolkit":         full.Deposit,
		"deposit-withdraw/by=toolkit":     func() { shared.Deposit(); shared.Withdraw() },
		"deposit-withdraw/by=x-time-rate": func() { limiter.Allow() },
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
