package retry_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/observable-go/toolkit/resilience/telemetry"
)

var (
	errTransient = transientError{}
	errPlain     = errors.New("plain")
)

// transientError asks to be retried.
type transientError struct{}

func (transientError) Error() string     { return "transient" }
func (transientError) Retryable() bool   { return true }
func (transientError) ErrorType() string { return "transient" }

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

func (s *signals) option(more ...telemetry.Option) []telemetry.Option {
	return append([]telemetry.Option{
		telemetry.WithMeterProvider(s.provider), telemetry.WithTracerProvider(s.tracer),
	}, more...)
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

// collected is what a reader saw, by metric name.
type collected map[string]metricdata.Aggregation

func collect(t *testing.T, reader sdkmetric.Reader) collected {
	t.Helper()
	var rm metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(context.Background(), &rm))
	all := collected{}
	for _, scope := range rm.ScopeMetrics {
		require.Equal(t, telemetry.ScopeName, scope.Scope.Name)
		for _, m := range scope.Metrics {
			all[m.Name] = m.Data
		}
	}
	return all
}

// sum adds up the points of a counter that have all of attrs.
func (c collected) sum(name string, attrs ...attribute.KeyValue) (total int64) {
	data, _ := c[name].(metricdata.Sum[int64])
	for _, p := range data.DataPoints {
		if hasAll(p.Attributes, attrs) {
			total += p.Value
		}
	}
	return total
}

// recorded returns how many values a histogram holds with all of attrs, and their sum.
func (c collected) recorded(name string, attrs ...attribute.KeyValue) (count int, seconds time.Duration) {
	data, _ := c[name].(metricdata.Histogram[float64])
	for _, p := range data.DataPoints {
		if hasAll(p.Attributes, attrs) {
			count += int(p.Count)
			seconds += time.Duration(p.Sum * float64(time.Second))
		}
	}
	return count, seconds
}

func hasAll(set attribute.Set, attrs []attribute.KeyValue) bool {
	for _, want := range attrs {
		if got, ok := set.Value(want.Key); !ok || got != want.Value {
			return false
		}
	}
	return true
}

func outcomeIs(o telemetry.Outcome) attribute.KeyValue {
	return telemetry.AttrOutcome.String(o.String())
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

func eventNames(events []sdktrace.Event) []string {
	names := make([]string, len(events))
	for i, e := range events {
		names[i] = e.Name
	}
	return names
}

// fakeBudget grants a number of retries and keeps accounts.
type fakeBudget struct {
	left                                int
	deposits, granted, denied, refunded int
}

func (b *fakeBudget) Deposit() { b.deposits++ }
func (b *fakeBudget) Refund()  { b.refunded++ }
func (b *fakeBudget) Withdraw() bool {
	if b.left == 0 {
		b.denied++
		return false
	}
	b.left--
	b.granted++
	return true
}
