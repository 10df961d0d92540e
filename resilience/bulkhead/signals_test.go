package bulkhead_test

import (
	"context"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/otel/attribute"

	"github.com/observable-go/toolkit/internal/signaltest"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/bulkhead"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// rejected is the only event of a call that was rejected for that reason.
func rejected(reason string) []signaltest.Event {
	return []signaltest.Event{{Name: telemetry.EventCallRejected, Attributes: map[attribute.Key]any{
		telemetry.AttrPolicyName: "b", telemetry.AttrPolicyKind: "bulkhead", telemetry.AttrRejectionReason: reason,
	}}}
}

// Each way in which a call may go, by each form of a call: what is counted and told.
func TestSignals(t *testing.T) {
	t.Parallel()
	const calls = telemetry.MetricBulkheadCalls + " b "
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
	for _, tt := range []struct {
		name    string
		opts    []bulkhead.Option
		release time.Duration // when the only slot becomes free: 0 if it is, < 0 if never
		timeout time.Duration // of the context: 0 if it is done
		want    map[string]float64
		events  []signaltest.Event
	}{
		{"admitted", nil, 0, time.Hour, map[string]float64{calls + "admitted": 1}, nil},
		{
			"admitted later", []bulkhead.Option{bulkhead.WithQueue(1)}, 2 * time.Second, time.Hour,
			map[string]float64{calls + "admitted": 1, telemetry.MetricBulkheadWait + " b": 1, telemetry.MetricBulkheadWait + " b sum": 2},
			[]signaltest.Event{{Name: telemetry.EventCallWaited, Attributes: map[attribute.Key]any{
				telemetry.AttrPolicyName: "b", telemetry.AttrPolicyKind: "bulkhead", telemetry.AttrWait: 2.0,
			}}},
		},
		{"full", nil, -1, time.Hour, map[string]float64{calls + "rejected": 1}, rejected("full")},
		{
			"waited too long", []bulkhead.Option{bulkhead.WithQueue(1), bulkhead.WithMaxWait(time.Second)}, -1, time.Hour,
			map[string]float64{calls + "rejected": 1}, rejected("wait"),
		},
		{
			"canceled", []bulkhead.Option{bulkhead.WithQueue(1)}, -1, time.Second,
			map[string]float64{calls + "canceled": 1}, nil,
		},
		{"canceled before", nil, 0, 0, map[string]float64{calls + "canceled": 1}, nil},
	} {
		for form, call := range forms {
			synctest.Test(t, func(t *testing.T) {
				signals := signaltest.New()
				b := bulkhead.MustNew("b", 1, append(tt.opts, bulkhead.WithTelemetry(signals.Metrics()...))...)
				want := maps.Clone(tt.want)
				want[telemetry.MetricBulkheadLimit+" b"] = 1
				if tt.release != 0 {
					take(t, b, 1) // counts as admitted
					want[calls+"admitted"]++
				}
				if tt.release > 0 {
					time.AfterFunc(tt.release, b.Release)
				}
				if tt.release < 0 {
					want[telemetry.MetricBulkheadInflight+" b"] = 1
				}
				ctx, cancel := context.WithTimeout(t.Context(), tt.timeout)
				defer cancel()
				events := signals.Span(ctx, func(ctx context.Context) { _ = call(ctx, b) })
				assert.Equal(t, want, signals.All(t), "%s, %s", tt.name, form)
				assert.Equal(t, tt.events, events, "%s, %s", tt.name, form)
			})
		}
	}
}

func TestDeadlineSignals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		signals := signaltest.New()
		b := bulkhead.MustNew("b", 1, bulkhead.WithQueue(5), bulkhead.WithTelemetry(signals.Metrics()...))
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
		events := signals.Span(ctx, func(ctx context.Context) {
			assert.Equal(t, bulkhead.ReasonDeadline, refusal(t, b.Acquire(ctx)).Reason)
		})
		assert.Equal(t, rejected("deadline"), events)
		assert.Equal(t, map[string]float64{"b admitted": 3, "b rejected": 1, "b canceled": 0}, signals.Metric(t, telemetry.MetricBulkheadCalls))
		time.Sleep(time.Minute)
		requireIdle(t, b)
	})
}

func TestLevelsAndTryAcquire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		signals := signaltest.New()
		b := bulkhead.MustNew("b", 2, bulkhead.WithQueue(5), bulkhead.WithTelemetry(signals.Metrics()...), bulkhead.WithTelemetry())
		take(t, b, 2)
		assert.False(t, b.TryAcquire())
		go func() { _ = b.Do(t.Context(), func(context.Context) error { return nil }) }()
		synctest.Wait()
		assert.Equal(t, map[string]float64{
			telemetry.MetricBulkheadCalls + " b admitted": 2,
			telemetry.MetricBulkheadCalls + " b rejected": 1,
			telemetry.MetricBulkheadLimit + " b":          2,
			telemetry.MetricBulkheadInflight + " b":       2,
			telemetry.MetricBulkheadQueued + " b":         1,
		}, signals.All(t))
		b.Release()
		b.Release()
		synctest.Wait()
		requireIdle(t, b)
	})
}

func TestWarn(t *testing.T) {
	t.Parallel()
	signals := signaltest.New()
	b := bulkhead.MustNew("b", 1, bulkhead.WithTelemetry(signals.Metrics()...))
	var nobody *bulkhead.Bulkhead
	nobody.Warn(t.Context(), resilience.Problem{Reason: resilience.NestedRetries})
	events := signals.Span(t.Context(), func(ctx context.Context) {
		b.Warn(ctx, resilience.Problem{Reason: resilience.NestedRetries, Detail: "two"})
	})
	assert.Equal(t, []signaltest.Event{{Name: telemetry.EventCompositionWarning, Attributes: map[attribute.Key]any{
		telemetry.AttrPolicyName: "b", telemetry.AttrCompositionReason: "nested_retries", telemetry.AttrCompositionDetail: "two",
	}}}, events)
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
