package bulkhead_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/bulkhead"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// signals collects what bulkheads emit.
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

func (s *signals) option() bulkhead.Option {
	return bulkhead.WithTelemetry(telemetry.WithMeterProvider(s.provider), telemetry.WithTracerProvider(s.tracer))
}

// span runs f under a recording span and returns the events on it.
func (s *signals) span(ctx context.Context, f func(ctx context.Context)) []sdktrace.Event {
	ctx, span := s.tracer.Tracer("test").Start(ctx, "caller")
	f(ctx)
	span.End()
	ended := s.spans.Ended()
	return ended[len(ended)-1].Events()
}

// read returns the values by metric and result, and of the histogram of waits the sum.
func (s *signals) read(t *testing.T) map[string]float64 {
	t.Helper()
	var rm metricdata.ResourceMetrics
	require.NoError(t, s.reader.Collect(context.Background(), &rm))
	values := map[string]float64{}
	for _, m := range rm.ScopeMetrics[0].Metrics {
		switch data := m.Data.(type) {
		case metricdata.Sum[int64]:
			for _, p := range data.DataPoints {
				if result, _ := p.Attributes.Value(telemetry.AttrResult); p.Value != 0 {
					values[m.Name+" "+result.AsString()] = float64(p.Value)
				}
			}
		case metricdata.Histogram[float64]:
			for _, p := range data.DataPoints {
				values[m.Name] = p.Sum
				values[m.Name+" count"] = float64(p.Count)
			}
		}
	}
	return values
}

// attributes returns those of the only event of that name.
func attributes(t *testing.T, events []sdktrace.Event, name string) map[attribute.Key]any {
	t.Helper()
	require.Len(t, events, 1)
	require.Equal(t, name, events[0].Name)
	all := map[attribute.Key]any{}
	for _, kv := range events[0].Attributes {
		all[kv.Key] = kv.Value.AsInterface()
	}
	return all
}

// Each way in which a call may go, by each form of a call: what is counted and told.
func TestSignals(t *testing.T) {
	t.Parallel()
	const calls = telemetry.MetricBulkheadCalls + " "
	forms := map[string]func(ctx context.Context, b *bulkhead.Bulkhead) error{
		"Do": func(ctx context.Context, b *bulkhead.Bulkhead) error {
			return b.Do(ctx, func(context.Context) error { return nil })
		},
		"DoValue": func(ctx context.Context, b *bulkhead.Bulkhead) error {
			_, err := bulkhead.DoValue(ctx, b, func(context.Context) (int, error) { return 0, nil })
			return err
		},
		"Acquire": func(ctx context.Context, b *bulkhead.Bulkhead) error {
			err := b.Acquire(ctx)
			if err == nil {
				b.Release()
			}
			return err
		},
	}
	rejected := func(reason string) map[attribute.Key]any {
		return map[attribute.Key]any{
			telemetry.AttrPolicyName: "b", telemetry.AttrPolicyKind: "bulkhead", telemetry.AttrRejectionReason: reason,
		}
	}
	for _, tt := range []struct {
		name    string
		opts    []bulkhead.Option
		release time.Duration // when the only slot becomes free: 0 if it is, < 0 if never
		timeout time.Duration // of the context: 0 if it is done
		want    map[string]float64
		event   string
		attrs   map[attribute.Key]any
	}{
		{"admitted", nil, 0, time.Hour, map[string]float64{calls + "admitted": 1}, "", nil},
		{
			"admitted later", []bulkhead.Option{bulkhead.WithQueue(1)}, 2 * time.Second, time.Hour,
			map[string]float64{calls + "admitted": 1, telemetry.MetricBulkheadWait: 2, telemetry.MetricBulkheadWait + " count": 1},
			telemetry.EventCallWaited, map[attribute.Key]any{
				telemetry.AttrPolicyName: "b", telemetry.AttrPolicyKind: "bulkhead", telemetry.AttrWait: 2.0,
			},
		},
		{
			"full", nil, -1, time.Hour, map[string]float64{calls + "rejected": 1},
			telemetry.EventCallRejected, rejected("full"),
		},
		{
			"waited too long", []bulkhead.Option{bulkhead.WithQueue(1), bulkhead.WithMaxWait(time.Second)}, -1, time.Hour,
			map[string]float64{calls + "rejected": 1}, telemetry.EventCallRejected, rejected("wait"),
		},
		{
			"canceled", []bulkhead.Option{bulkhead.WithQueue(1)}, -1, time.Second,
			map[string]float64{calls + "canceled": 1}, "", nil,
		},
		{"canceled before", nil, 0, 0, map[string]float64{calls + "canceled": 1}, "", nil},
	} {
		for form, call := range forms {
			synctest.Test(t, func(t *testing.T) {
				s := newSignals()
				b := bulkhead.MustNew("b", 1, append(tt.opts, s.option())...)
				taken := 0.0
				if tt.release != 0 {
					take(t, b, 1) // counts as admitted
					taken = 1
				}
				if tt.release > 0 {
					time.AfterFunc(tt.release, b.Release)
				}
				ctx, cancel := context.WithTimeout(t.Context(), tt.timeout)
				defer cancel()
				events := s.span(ctx, func(ctx context.Context) { _ = call(ctx, b) })
				got := s.read(t)
				got[calls+"admitted"] -= taken
				for name, value := range got {
					if want := tt.want[name]; !isLevel(name) {
						assert.InDelta(t, want, value, 0, "%s, %s: %s", tt.name, form, name)
					}
				}
				for name := range tt.want {
					assert.Contains(t, got, name, "%s, %s", tt.name, form)
				}
				if tt.event == "" {
					assert.Empty(t, events, "%s, %s", tt.name, form)
				} else {
					assert.Equal(t, tt.attrs, attributes(t, events, tt.event), "%s, %s", tt.name, form)
				}
			})
		}
	}
}

func isLevel(name string) bool {
	switch name {
	case telemetry.MetricBulkheadLimit + " ", telemetry.MetricBulkheadInflight + " ", telemetry.MetricBulkheadQueued + " ":
		return true
	}
	return false
}

func TestDeadlineSignals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSignals()
		b := bulkhead.MustNew("b", 1, bulkhead.WithQueue(5), s.option())
		take(t, b, 1)
		for range 3 {
			go func() { _ = b.Do(t.Context(), func(context.Context) error { time.Sleep(time.Second); return nil }) }()
		}
		synctest.Wait()
		b.Release()
		time.Sleep(time.Second) // two hand-overs, a second apart
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		events := s.span(ctx, func(ctx context.Context) {
			assert.Equal(t, bulkhead.ReasonDeadline, refusal(t, b.Acquire(ctx)).Reason)
		})
		assert.Equal(t, "deadline", attributes(t, events, telemetry.EventCallRejected)[telemetry.AttrRejectionReason])
		assert.InDelta(t, 1, s.read(t)[telemetry.MetricBulkheadCalls+" rejected"], 0)
		time.Sleep(time.Minute)
		requireIdle(t, b)
	})
}

func TestLevelsAndTryAcquire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSignals()
		b := bulkhead.MustNew("b", 2, bulkhead.WithQueue(5), s.option(), bulkhead.WithTelemetry())
		take(t, b, 2)
		assert.False(t, b.TryAcquire())
		go func() { _ = b.Do(t.Context(), func(context.Context) error { return nil }) }()
		synctest.Wait()
		assert.Equal(t, map[string]float64{
			telemetry.MetricBulkheadCalls + " admitted": 2,
			telemetry.MetricBulkheadCalls + " rejected": 1,
			telemetry.MetricBulkheadLimit + " ":         2,
			telemetry.MetricBulkheadInflight + " ":      2,
			telemetry.MetricBulkheadQueued + " ":        1,
		}, s.read(t))
		b.Release()
		b.Release()
		synctest.Wait()
		requireIdle(t, b)
	})
}

func TestWarn(t *testing.T) {
	t.Parallel()
	s := newSignals()
	b := bulkhead.MustNew("b", 1, s.option())
	var nobody *bulkhead.Bulkhead
	nobody.Warn(t.Context(), resilience.Problem{Reason: resilience.NestedRetries})
	events := s.span(t.Context(), func(ctx context.Context) {
		b.Warn(ctx, resilience.Problem{Reason: resilience.NestedRetries, Detail: "two"})
	})
	got := attributes(t, events, telemetry.EventCompositionWarning)
	assert.Equal(t, "nested_retries", got[telemetry.AttrCompositionReason])
	assert.Equal(t, "two", got[telemetry.AttrCompositionDetail])
}

// A bulkhead in a chain inside of a retry: its refusal is not retried.
func TestRefusalIsNotRetried(t *testing.T) {
	t.Parallel()
	b := bulkhead.MustNew("b", 1, bulkhead.WithTelemetry(telemetry.Off()))
	take(t, b, 1)
	asked := 0
	chain := resilience.Chain(resilience.PolicyFunc(func(ctx context.Context, op resilience.Operation) error {
		for {
			asked++
			if err := op(ctx); resilience.Classify(err) != resilience.ClassRetryable {
				return err
			}
		}
	}), b)
	err := chain.Do(t.Context(), func(context.Context) error { panic("called") })
	_ = refusal(t, err)
	assert.Equal(t, 1, asked)
}
