package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// endpointVariable names the OTLP endpoint. The exporters read it themselves.
const endpointVariable = "OTEL_EXPORTER_OTLP_ENDPOINT"

// signals is the OpenTelemetry SDK of this program: any service has something like
// it. Toolkit and SDK meet in the global providers alone.
type signals struct {
	reader   *sdkmetric.ManualReader // what the report reads
	traces   *traceKeeper            // the same for spans
	endpoint string                  // of the OTLP export, or ""
	failure  exportFailure

	meters  *sdkmetric.MeterProvider
	tracers *sdktrace.TracerProvider
}

// startSignals sets the global providers. Spans and metrics stay in this process,
// and go to the OTLP endpoint as well if the environment names one.
func startSignals(ctx context.Context) (*signals, error) {
	s := &signals{
		reader:   sdkmetric.NewManualReader(),
		traces:   newTraceKeeper(policyWithBudget),
		endpoint: os.Getenv(endpointVariable),
	}
	service, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "quickstart")),
		resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, err
	}
	meters := []sdkmetric.Option{sdkmetric.WithResource(service), sdkmetric.WithReader(s.reader)}
	tracers := []sdktrace.TracerProviderOption{sdktrace.WithResource(service), sdktrace.WithSyncer(s.traces)}
	if s.endpoint != "" {
		metrics, spans, err := exporters(ctx)
		if err != nil {
			return nil, err
		}
		meters = append(meters, sdkmetric.WithReader(
			sdkmetric.NewPeriodicReader(metrics, sdkmetric.WithInterval(2*time.Second))))
		tracers = append(tracers, sdktrace.WithBatcher(spans))
		otel.SetErrorHandler(&s.failure) // by default it would write into the progress
	}
	s.meters, s.tracers = sdkmetric.NewMeterProvider(meters...), sdktrace.NewTracerProvider(tracers...)
	otel.SetMeterProvider(s.meters)
	otel.SetTracerProvider(s.tracers)
	return s, nil
}

// exporters returns exporters that give up early, as the run itself is short.
func exporters(ctx context.Context) (sdkmetric.Exporter, sdktrace.SpanExporter, error) {
	const interval, most = 500 * time.Millisecond, 2 * time.Second
	metrics, err := otlpmetrichttp.New(ctx, otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{
		Enabled: true, InitialInterval: interval, MaxInterval: interval, MaxElapsedTime: most,
	}))
	if err != nil {
		return nil, nil, fmt.Errorf("exporter of metrics: %w", err)
	}
	spans, err := otlptracehttp.New(ctx, otlptracehttp.WithRetry(otlptracehttp.RetryConfig{
		Enabled: true, InitialInterval: interval, MaxInterval: interval, MaxElapsedTime: most,
	}))
	if err != nil {
		return nil, nil, fmt.Errorf("exporter of spans: %w", err)
	}
	return metrics, spans, nil
}

// metrics collects what the metrics are now.
func (s *signals) metrics() (*metricdata.ResourceMetrics, error) {
	var rm metricdata.ResourceMetrics
	err := s.reader.Collect(context.Background(), &rm)
	return &rm, err
}

// shutdown exports what is left, within the given time, and returns what went wrong
// with any export of the run.
func (s *signals) shutdown(within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	var both sync.WaitGroup
	both.Go(func() { s.failure.Handle(s.meters.Shutdown(ctx)) })
	both.Go(func() { s.failure.Handle(s.tracers.Shutdown(ctx)) })
	both.Wait()
	return s.failure.first()
}

// exportFailure keeps the first error that the SDK reports.
type exportFailure struct {
	mu  sync.Mutex
	err error
}

// Handle implements [otel.ErrorHandler].
func (f *exportFailure) Handle(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
	}
}

func (f *exportFailure) first() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}
