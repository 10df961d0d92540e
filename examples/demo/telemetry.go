package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/observable-go/toolkit/resilience/telemetry"
)

// signals is the OpenTelemetry SDK of one service. A service that is alone in its process sets
// the global providers instead, and then hands nothing on: the toolkit finds them.
type signals struct {
	meters     *sdkmetric.MeterProvider
	tracers    *sdktrace.TracerProvider
	propagator propagation.TextMapPropagator
}

// startSignals returns the providers of a service. Every trace is sampled, so that each order can
// be looked up. Histograms that are recorded under a sampled span keep exemplars of it, which is
// the SDK's default: all that a service does for it is to hand its contexts on.
func startSignals(ctx context.Context, name string, o options) (*signals, error) {
	described, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", name)), resource.WithTelemetrySDK())
	if err != nil {
		return nil, err
	}
	meters := []sdkmetric.Option{sdkmetric.WithResource(described)}
	tracers := []sdktrace.TracerProviderOption{sdktrace.WithResource(described), sdktrace.WithSampler(sdktrace.AlwaysSample())}
	if o.otlpMetrics != "" {
		exporter, err := otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpointURL(o.otlpMetrics))
		if err != nil {
			return nil, fmt.Errorf("-otlp-metrics: %w", err)
		}
		meters = append(meters, sdkmetric.WithReader(
			sdkmetric.NewPeriodicReader(exporter, sdkmetric.WithInterval(o.exportInterval))))
	}
	if o.otlpTraces != "" {
		exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(o.otlpTraces))
		if err != nil {
			return nil, fmt.Errorf("-otlp-traces: %w", err)
		}
		// A storm makes thousands of spans a second. The defaults would drop some of them.
		tracers = append(tracers, sdktrace.WithBatcher(exporter, sdktrace.WithBatchTimeout(time.Second),
			sdktrace.WithMaxQueueSize(1<<15), sdktrace.WithMaxExportBatchSize(1<<11)))
	}
	return &signals{
		meters:  sdkmetric.NewMeterProvider(meters...),
		tracers: sdktrace.NewTracerProvider(tracers...),
		// The baggage tells services that know nothing of the toolkit that a request is repeated.
		propagator: propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}),
	}, nil
}

// toolkit returns the options of policies.
func (s *signals) toolkit() []telemetry.Option {
	return []telemetry.Option{telemetry.WithMeterProvider(s.meters), telemetry.WithTracerProvider(s.tracers)}
}

func (s *signals) http() []otelhttp.Option {
	return []otelhttp.Option{
		otelhttp.WithMeterProvider(s.meters), otelhttp.WithTracerProvider(s.tracers), otelhttp.WithPropagators(s.propagator),
	}
}

func (s *signals) grpc() []otelgrpc.Option {
	return []otelgrpc.Option{
		otelgrpc.WithMeterProvider(s.meters), otelgrpc.WithTracerProvider(s.tracers), otelgrpc.WithPropagators(s.propagator),
	}
}

// shutdown exports what is left.
func (s *signals) shutdown(ctx context.Context) error {
	var metrics, traces error
	var both sync.WaitGroup
	both.Go(func() { metrics = s.meters.Shutdown(ctx) })
	both.Go(func() { traces = s.tracers.Shutdown(ctx) })
	both.Wait()
	return errors.Join(metrics, traces)
}

// exportErrors writes the errors of exports, one a minute at most: a backend that is away
// should not fill the screen.
type exportErrors struct {
	out  io.Writer
	mu   sync.Mutex
	last time.Time
}

// Handle implements [otel.ErrorHandler].
func (e *exportErrors) Handle(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if now := time.Now(); e.last.IsZero() || now.Sub(e.last) >= time.Minute {
		e.last = now
		fmt.Fprintln(e.out, "demo: an export failed (the shop goes on):", err)
	}
}
