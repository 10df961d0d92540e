package hedge_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/observable-go/toolkit/resilience/hedge"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// signals collects what a hedge emits.
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

func (s *signals) option() hedge.Option {
	return hedge.WithTelemetry(telemetry.WithMeterProvider(s.provider))
}

// counts returns what is not 0 of the hedge's counters, by result: those of calls, and
// those of copies after a "copy ".
func (s *signals) counts(t *testing.T) map[string]int {
	t.Helper()
	var rm metricdata.ResourceMetrics
	require.NoError(t, s.reader.Collect(context.Background(), &rm))
	counts := map[string]int{}
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			data, ok := m.Data.(metricdata.Sum[int64])
			if !ok {
				continue
			}
			for _, p := range data.DataPoints {
				name, _ := p.Attributes.Value(telemetry.AttrPolicyName)
				require.Equal(t, "h", name.AsString())
				result, _ := p.Attributes.Value(telemetry.AttrResult)
				key := result.AsString()
				if m.Name == telemetry.MetricHedgeCopies {
					key = "copy " + key
				}
				if p.Value != 0 {
					counts[key] += int(p.Value)
				}
			}
		}
	}
	return counts
}

// delay returns the gauge of the delay in seconds.
func (s *signals) delay(t *testing.T) float64 {
	t.Helper()
	var rm metricdata.ResourceMetrics
	require.NoError(t, s.reader.Collect(context.Background(), &rm))
	for _, m := range rm.ScopeMetrics[0].Metrics {
		if m.Name == telemetry.MetricHedgeDelay {
			return m.Data.(metricdata.Gauge[float64]).DataPoints[0].Value
		}
	}
	t.Fatal("there is no gauge")
	return 0
}

// span runs f under a recording span.
func (s *signals) span(ctx context.Context, f func(ctx context.Context)) {
	ctx, span := s.tracer.Tracer("test").Start(ctx, "caller")
	defer span.End()
	f(ctx)
}

// events returns the names of the events of all spans.
func (s *signals) events() (names []string) {
	for _, span := range s.spans.Ended() {
		for _, e := range span.Events() {
			names = append(names, e.Name)
		}
	}
	return names
}

// fakeBudget grants a number of copies and keeps accounts.
type fakeBudget struct {
	grants                               int64
	deposits, withdrawn, denied, refunds atomic.Int64
	onWithdraw                           func()
}

func (b *fakeBudget) Deposit() { b.deposits.Add(1) }
func (b *fakeBudget) Refund()  { b.refunds.Add(1) }

func (b *fakeBudget) Withdraw() bool {
	if b.onWithdraw != nil {
		b.onWithdraw()
	}
	if b.withdrawn.Add(1) > b.grants {
		b.denied.Add(1)
		return false
	}
	return true
}
