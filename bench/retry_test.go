package bench

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

var errTransient = transientError{}

type transientError struct{}

func (transientError) Error() string   { return "transient" }
func (transientError) Retryable() bool { return true }

// A caller makes one call of an operation, with retries or without.
type caller func(ctx context.Context, op func(context.Context) (int, error)) (int, error)

const maxRetries = 3

// loop is what one writes by hand.
func loop(delay time.Duration) caller {
	return func(ctx context.Context, op func(context.Context) (int, error)) (int, error) {
		for n := 0; ; n++ {
			v, err := op(ctx)
			if err == nil {
				return v, nil
			}
			var transient transientError
			if n == maxRetries || !errors.As(err, &transient) || ctx.Err() != nil {
				return v, err
			}
			if err := sleep(ctx, delay); err != nil {
				return v, err
			}
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// observedLoop is the loop with the toolkit's signals emitted by hand, as well as one
// does it: options made once.
func observedLoop(delay time.Duration, meter metric.Meter) caller {
	calls, _ := meter.Int64Counter("calls", metric.WithUnit("{call}"))
	attempts, _ := meter.Int64Counter("attempts", metric.WithUnit("{attempt}"))
	duration, _ := meter.Float64Histogram("duration", metric.WithUnit("s"))
	latency, _ := meter.Float64Histogram("latency", metric.WithUnit("s"))
	name := attribute.String("resilience.policy.name", "p")
	options := func(outcome string) ([]metric.AddOption, []metric.RecordOption) {
		set := metric.WithAttributeSet(attribute.NewSet(name, attribute.String("resilience.outcome", outcome)))
		return []metric.AddOption{set}, []metric.RecordOption{set}
	}
	addSuccess, recordSuccess := options("success")
	addFailure, recordFailure := options("failure")
	event := trace.WithAttributes(name)
	return func(ctx context.Context, op func(context.Context) (int, error)) (int, error) {
		began := time.Now()
		var firstEnd time.Time
		span := trace.SpanFromContext(ctx)
		for n := 0; ; n++ {
			v, err := op(ctx)
			if err == nil {
				attempts.Add(ctx, 1, addSuccess...)
				if span.IsRecording() {
					span.AddEvent("attempt.succeeded", event)
				}
			} else {
				attempts.Add(ctx, 1, addFailure...)
				if span.IsRecording() {
					span.AddEvent("attempt.failed", event)
				}
				var transient transientError
				if n < maxRetries && errors.As(err, &transient) && ctx.Err() == nil {
					if n == 0 {
						firstEnd = time.Now()
					}
					if sleep(ctx, delay) == nil {
						continue
					}
				}
			}
			add, record := addSuccess, recordSuccess
			if err != nil {
				add, record = addFailure, recordFailure
			}
			calls.Add(ctx, 1, add...)
			duration.Record(ctx, time.Since(began).Seconds(), record...)
			if n > 0 {
				latency.Record(ctx, time.Since(firstEnd).Seconds(), record...)
			}
			return v, err
		}
	}
}

func toolkit(delay time.Duration, options ...telemetry.Option) caller {
	p := retry.MustNew("p", retry.WithMaxRetries(maxRetries), retry.WithInitialDelay(delay),
		retry.WithJitter(backoff.NoJitter), retry.WithTelemetry(options...))
	return func(ctx context.Context, op func(context.Context) (int, error)) (int, error) {
		return retry.DoValue(ctx, p, op)
	}
}

func failsafeGo(delay time.Duration) caller {
	builder := retrypolicy.NewBuilder[int]().WithMaxRetries(maxRetries)
	if delay > 0 {
		builder = builder.WithDelay(delay)
	}
	executor := failsafe.With[int](builder.Build())
	return func(ctx context.Context, op func(context.Context) (int, error)) (int, error) {
		return executor.WithContext(ctx).Get(func() (int, error) { return op(ctx) })
	}
}

func chain(n int, delay time.Duration) caller {
	p := resilience.Policy(retry.MustNew("p", retry.WithInitialDelay(delay), retry.WithTelemetry(telemetry.Off())))
	pass := resilience.PolicyFunc(func(ctx context.Context, op resilience.Operation) error { return op(ctx) })
	for range n - 1 {
		p = resilience.Chain(p, pass)
	}
	return func(ctx context.Context, op func(context.Context) (int, error)) (int, error) {
		return resilience.DoValue(ctx, p, op)
	}
}

type contender struct {
	name string
	make func(delay time.Duration) caller
	span bool // calls run under a sampled span
}

func contenders() []contender {
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	sdk := telemetry.WithMeterProvider(provider)
	with := func(options ...telemetry.Option) func(time.Duration) caller {
		return func(delay time.Duration) caller { return toolkit(delay, options...) }
	}
	observed := func(delay time.Duration) caller { return observedLoop(delay, provider.Meter("bench")) }
	return []contender{
		{"bare", func(time.Duration) caller {
			return func(ctx context.Context, op func(context.Context) (int, error)) (int, error) { return op(ctx) }
		}, false},
		{"loop", loop, false},
		{"loop+metrics", observed, false},
		{"loop+metrics+span", observed, true},
		{"toolkit-off", with(telemetry.Off()), false},
		{"toolkit-no-SDK", with(), false},
		{"toolkit+counters", with(sdk, telemetry.WithCallDuration(telemetry.DurationsNever), telemetry.WithEvents(telemetry.EventsNone)), false},
		{"toolkit+metrics", with(sdk), false},
		{"toolkit+metrics+span-troubled", with(sdk, telemetry.WithEvents(telemetry.EventsTroubled)), true},
		{"toolkit+metrics+span", with(sdk), true},
		{"toolkit-chain-of-5", func(delay time.Duration) caller { return chain(5, delay) }, false},
		{"failsafe-go", failsafeGo, false},
	}
}

// benchmark measures calls that fail that many times before they succeed.
func benchmark(b *testing.B, fails int, delay time.Duration) {
	tracer := sdktrace.NewTracerProvider().Tracer("bench")
	for _, c := range contenders() {
		b.Run("by="+c.name, func(b *testing.B) {
			call := c.make(delay)
			ctx := b.Context()
			left := 0
			op := func(context.Context) (int, error) {
				if left--; left >= 0 {
					return 0, errTransient
				}
				return 1, nil
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if c.span && i%16 == 0 { // a span keeps 128 events at most
					b.StopTimer()
					ctx, _ = tracer.Start(context.WithoutCancel(ctx), "call")
					b.StartTimer()
				}
				left = fails
				_, _ = call(ctx, op)
			}
		})
	}
}

func BenchmarkSuccess(b *testing.B)           { benchmark(b, 0, 0) }
func BenchmarkRetryWithoutDelay(b *testing.B) { benchmark(b, 1, 0) }
func BenchmarkRetryThroughTimer(b *testing.B) { benchmark(b, 1, 1) }
func BenchmarkExhausted(b *testing.B)         { benchmark(b, maxRetries+1, 0) }
