package adaptive_test

import (
	"context"
	"errors"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/adaptive"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

var (
	errPlain     = errors.New("plain")
	errRetryable = resilience.Retryable(errPlain)
	errPermanent = resilience.Permanent(errPlain)
	errRefused   = resilience.Refused(errPlain)
	errGone      = errors.New("gone")
)

// returning is an operation that returns err.
func returning(err error) resilience.Operation {
	return func(context.Context) error { return err }
}

// signals collects what policies emit.
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

func (s *signals) option() adaptive.Option {
	return adaptive.WithTelemetry(telemetry.WithMeterProvider(s.provider), telemetry.WithTracerProvider(s.tracer))
}

// span runs f under a recording span and returns the events on it.
func (s *signals) span(ctx context.Context, f func(ctx context.Context)) []sdktrace.Event {
	ctx, span := s.tracer.Tracer("test").Start(ctx, "caller")
	func() {
		defer span.End()
		f(ctx)
	}()
	for _, ended := range s.spans.Ended() {
		if ended.SpanContext().SpanID() == span.SpanContext().SpanID() {
			return ended.Events()
		}
	}
	return nil
}

// collect returns the sums of counters by result, the gauges, and how many waits were
// recorded, by name of the metric. A counter of 0 is left out.
func (s *signals) collect(t *testing.T) map[string]float64 {
	t.Helper()
	var rm metricdata.ResourceMetrics
	require.NoError(t, s.reader.Collect(context.Background(), &rm))
	all := map[string]float64{}
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					if result, _ := p.Attributes.Value(telemetry.AttrResult); p.Value != 0 {
						all[m.Name+" "+result.AsString()] = float64(p.Value)
					}
				}
			case metricdata.Gauge[float64]:
				for _, p := range data.DataPoints {
					all[m.Name] = p.Value
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					all[m.Name+" count"] = float64(p.Count)
					all[m.Name+" sum"] = p.Sum
				}
			}
		}
	}
	return all
}

// attr returns an attribute of an event.
func attr(e sdktrace.Event, key attribute.Key) attribute.Value {
	for _, kv := range e.Attributes {
		if kv.Key == key {
			return kv.Value
		}
	}
	return attribute.Value{}
}

// exits are the ways of an operation to leave without returning.
var exits = map[string]func(){
	"panic":  func() { panic("boom") },
	"goexit": runtime.Goexit,
}

// leaving calls f in a goroutine that f may end, and returns what it panicked with.
func leaving(f func()) (recovered any) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { recovered = recover() }()
		f()
	}()
	<-done
	return recovered
}
