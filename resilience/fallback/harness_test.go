package fallback_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/observable-go/toolkit/resilience/fallback"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// signals collects what a fallback emits.
type signals struct {
	reader   *sdkmetric.ManualReader
	provider *sdkmetric.MeterProvider
	spans    *tracetest.SpanRecorder
	tracer   *sdktrace.TracerProvider
}

func newSignals() *signals {
	s := &signals{reader: sdkmetric.NewManualReader(), spans: tracetest.NewSpanRecorder()}
	s.provider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(s.reader))
	s.tracer = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(s.spans))
	return s
}

func (s *signals) option() fallback.Option {
	return fallback.WithTelemetry(telemetry.WithMeterProvider(s.provider))
}

// counts returns how many calls were counted, by result, without zeros.
func (s *signals) counts(t *testing.T) map[string]int {
	t.Helper()
	var rm metricdata.ResourceMetrics
	require.NoError(t, s.reader.Collect(context.Background(), &rm))
	counts := map[string]int{}
	for _, m := range rm.ScopeMetrics[0].Metrics {
		data, ok := m.Data.(metricdata.Sum[int64])
		require.True(t, ok, m.Name)
		require.Equal(t, telemetry.MetricFallbackCalls, m.Name)
		for _, p := range data.DataPoints {
			result, _ := p.Attributes.Value(telemetry.AttrResult)
			if p.Value != 0 {
				counts[result.AsString()] = int(p.Value)
			}
		}
	}
	return counts
}

// span runs f under a recording span.
func (s *signals) span(ctx context.Context, f func(ctx context.Context)) {
	ctx, span := s.tracer.Tracer("test").Start(ctx, "caller")
	defer span.End()
	f(ctx)
}

// events returns the events of all spans, each with its error.
func (s *signals) events() (all []string) {
	for _, span := range s.spans.Ended() {
		for _, e := range span.Events() {
			var kind, message string
			for _, kv := range e.Attributes {
				switch kv.Key {
				case telemetry.AttrErrorType:
					kind = kv.Value.AsString()
				case telemetry.AttrErrorMessage:
					message = kv.Value.AsString()
				}
			}
			all = append(all, fmt.Sprintf("%s %s: %s", e.Name, kind, message))
		}
	}
	return all
}
