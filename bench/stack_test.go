package bench

import (
	"context"
	"testing"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/stack"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// BenchmarkStack measures untroubled calls through the standard stack (timeout, retry with
// budget, breaker, bulkhead, attempt timeout), beside retry and breaker, and retry, breaker
// and bulkhead of failsafe-go. The caller's deadline is sooner than the timeouts, as for
// most requests of a server, or there is none and both are armed.
func BenchmarkStack(b *testing.B) {
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	soon, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	off, counters, metrics := telemetry.Off(), telemetry.WithCallDuration(telemetry.DurationsNever), telemetry.WithMeterProvider(provider)
	for _, c := range []struct {
		name string
		ctx  context.Context
		call caller
	}{
		{"toolkit-off", soon, toolkitStack(off)},
		{"toolkit+counters", soon, toolkitStack(metrics, counters)},
		{"toolkit+metrics", soon, toolkitStack(metrics)},
		{"toolkit-off-timeouts-armed", context.Background(), toolkitStack(off)},
		{"toolkit-off-chain", soon, toolkitChain(off)},
		{"failsafe-go-retry-breaker", soon, failsafeStack(false)},
		{"failsafe-go-retry-breaker-bulkhead", soon, failsafeStack(true)},
	} {
		b.Run("by="+c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = c.call(c.ctx, succeed)
			}
		})
	}
}

func toolkitStack(options ...telemetry.Option) caller {
	s := newStack(options)
	return func(ctx context.Context, op func(context.Context) (int, error)) (int, error) {
		return stack.DoValue(ctx, s, op)
	}
}

// newStack returns a standard stack whose timeouts are longer than the deadline of soon.
func newStack(options []telemetry.Option) *stack.Stack {
	return stack.MustNew("s", stack.WithTimeout(3*time.Hour), stack.WithAttemptTimeout(2*time.Hour), stack.WithTelemetry(options...))
}

// toolkitChain is the same by Chain.
func toolkitChain(options ...telemetry.Option) caller {
	p := resilience.Chain(newStack(options).Stages()...)
	return func(ctx context.Context, op func(context.Context) (int, error)) (int, error) {
		return resilience.DoValue(ctx, p, op)
	}
}

func failsafeStack(bulkheads bool) caller {
	retries := retrypolicy.NewBuilder[int]().WithMaxRetries(maxRetries).Build()
	breaker := circuitbreaker.NewBuilder[int]().WithFailureRateThreshold(0.5, 20, 30*time.Second).WithDelay(5 * time.Second).Build()
	policies := []failsafe.Policy[int]{retries, breaker}
	if bulkheads {
		policies = append(policies, bulkhead.New[int](stack.DefaultBulkheadLimit))
	}
	executor := failsafe.With(policies...)
	return func(ctx context.Context, op func(context.Context) (int, error)) (int, error) {
		return executor.WithContext(ctx).Get(func() (int, error) { return op(ctx) })
	}
}
