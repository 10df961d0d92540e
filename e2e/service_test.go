package e2e_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/observable-go/toolkit/resilience/telemetry"
)

// A service is what a user of the toolkit has: providers that export to the backends.
type service struct {
	name    string // the job in Prometheus, the service in Jaeger
	meters  *sdkmetric.MeterProvider
	tracers *sdktrace.TracerProvider
	servers int // how many servers its traffic has started
}

// newService returns a service, with further attributes of its resource.
func newService(t *testing.T, name string, more ...attribute.KeyValue) *service {
	t.Helper()
	needBackends(t)
	metrics, err := otlpmetrichttp.New(t.Context(), otlpmetrichttp.WithEndpointURL(prometheus.OTLPMetrics()))
	require.NoError(t, err)
	spans, err := otlptracehttp.New(t.Context(), otlptracehttp.WithEndpointURL(jaeger.OTLPTraces()))
	require.NoError(t, err)
	res := resource.NewSchemaless(append(more, attribute.String("service.name", name))...)
	s := &service{
		name: name,
		// It exports when it is told to, so that the tests know what has arrived.
		meters: sdkmetric.NewMeterProvider(sdkmetric.WithResource(res),
			sdkmetric.WithReader(sdkmetric.NewPeriodicReader(metrics, sdkmetric.WithInterval(time.Hour)))),
		tracers: sdktrace.NewTracerProvider(sdktrace.WithResource(res), sdktrace.WithBatcher(spans)),
	}
	t.Cleanup(func() {
		require.NoError(t, s.meters.Shutdown(context.Background()))
		require.NoError(t, s.tracers.Shutdown(context.Background()))
	})
	return s
}

// telemetry returns the options for policies, guards and budgets of the service.
func (s *service) telemetry() telemetry.Option { return telemetry.WithMeterProvider(s.meters) }

// traced runs f in a span and returns the ID of the trace.
func (s *service) traced(ctx context.Context, name string, f func(context.Context)) string {
	ctx, span := s.tracers.Tracer("e2e").Start(ctx, name)
	defer span.End()
	f(ctx)
	return span.SpanContext().TraceID().String()
}

// flush exports what there is. Prometheus answers when it has stored it, Jaeger a moment before.
func (s *service) flush(t *testing.T) {
	t.Helper()
	require.NoError(t, s.meters.ForceFlush(t.Context()))
	require.NoError(t, s.tracers.ForceFlush(t.Context()))
}
