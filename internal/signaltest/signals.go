// Package signaltest collects what policies emit, for the tests of this module.
package signaltest

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/observable-go/toolkit/resilience/telemetry"
)

// Signals are the metrics, span events and lines of the policies that were made with its
// Options.
type Signals struct {
	reader *sdkmetric.ManualReader
	meters *sdkmetric.MeterProvider
	spans  *tracetest.SpanRecorder
	tracer *sdktrace.TracerProvider
	lines  bytes.Buffer
}

// New returns signals that are empty.
func New() *Signals {
	s := &Signals{reader: sdkmetric.NewManualReader(), spans: tracetest.NewSpanRecorder()}
	s.meters = sdkmetric.NewMeterProvider(sdkmetric.WithReader(s.reader))
	s.tracer = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(s.spans))
	return s
}

// Options make a policy emit to s. Lines are for policies that one goroutine uses.
func (s *Signals) Options() []telemetry.Option {
	handler := slog.NewTextHandler(&s.lines, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	})
	return append(s.Metrics(), telemetry.WithTracerProvider(s.tracer), telemetry.WithLogger(slog.New(handler)))
}

// Metrics make a policy emit its metrics to s, and no lines.
func (s *Signals) Metrics() []telemetry.Option {
	return []telemetry.Option{telemetry.WithMeterProvider(s.meters)}
}

// Lines returns the lines since the last time, without their time.
func (s *Signals) Lines() []string {
	defer s.lines.Reset()
	if s.lines.Len() == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(s.lines.String(), "\n"), "\n")
}

// Metric returns the points of a metric by the values of their attributes, in the order of
// the keys and joined by spaces. The value of a histogram is its count.
func (s *Signals) Metric(t *testing.T, name string) map[string]float64 {
	t.Helper()
	all := map[string]float64{}
	for _, m := range s.collect(t) {
		if m.Name == name {
			maps.Copy(all, points(m.Data))
		}
	}
	return all
}

// All returns the points of all metrics as Metric does those of one, with the name of the
// metric and a space before the values. Counters that are 0 are left out, also those that
// can fall again. Beside the count of a histogram stands its sum, with " sum" at the end.
func (s *Signals) All(t *testing.T) map[string]float64 {
	t.Helper()
	all := map[string]float64{}
	for _, m := range s.collect(t) {
		_, counter := m.Data.(metricdata.Sum[int64])
		for by, value := range points(m.Data) {
			if value != 0 || !counter {
				all[m.Name+" "+by] = value
			}
		}
		if histogram, ok := m.Data.(metricdata.Histogram[float64]); ok {
			for _, p := range histogram.DataPoints {
				all[m.Name+" "+key(p.Attributes)+" sum"] = p.Sum
			}
		}
	}
	return all
}

func (s *Signals) collect(t *testing.T) (all []metricdata.Metrics) {
	t.Helper()
	var rm metricdata.ResourceMetrics
	require.NoError(t, s.reader.Collect(context.Background(), &rm))
	for _, scope := range rm.ScopeMetrics {
		all = append(all, scope.Metrics...)
	}
	return all
}

func points(data metricdata.Aggregation) map[string]float64 {
	points := map[string]float64{}
	switch data := data.(type) {
	case metricdata.Sum[int64]:
		for _, p := range data.DataPoints {
			points[key(p.Attributes)] = float64(p.Value)
		}
	case metricdata.Gauge[float64]:
		for _, p := range data.DataPoints {
			points[key(p.Attributes)] = p.Value
		}
	case metricdata.Histogram[float64]:
		for _, p := range data.DataPoints {
			points[key(p.Attributes)] = float64(p.Count)
		}
	}
	return points
}

func key(set attribute.Set) string {
	values := make([]string, 0, set.Len())
	for _, kv := range set.ToSlice() {
		values = append(values, kv.Value.String())
	}
	return strings.Join(values, " ")
}

// An Event is one that a policy left on a span.
type Event struct {
	Name       string
	Attributes map[attribute.Key]any
}

// Span runs f under a recording span and returns the events on it.
func (s *Signals) Span(ctx context.Context, f func(ctx context.Context)) (events []Event) {
	ctx, span := s.tracer.Tracer("test").Start(ctx, "caller")
	func() {
		defer span.End()
		f(ctx)
	}()
	for _, ended := range s.spans.Ended() {
		if ended.SpanContext().SpanID() != span.SpanContext().SpanID() {
			continue
		}
		for _, e := range ended.Events() {
			attributes := make(map[attribute.Key]any)
			for _, kv := range e.Attributes {
				attributes[kv.Key] = kv.Value.AsInterface()
			}
			events = append(events, Event{e.Name, attributes})
		}
	}
	return events
}

// Names returns the names of events.
func Names(events []Event) []string {
	names := make([]string, len(events))
	for i, e := range events {
		names[i] = e.Name
	}
	return names
}
