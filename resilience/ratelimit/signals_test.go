package ratelimit_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"

	"github.com/observable-go/toolkit/internal/signaltest"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/ratelimit"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// What every way through a limiter leaves in the counts and on the span.
func TestSignals(t *testing.T) {
	t.Parallel()
	about := func(extra ...attribute.KeyValue) map[attribute.Key]any {
		m := map[attribute.Key]any{telemetry.AttrPolicyName: "l", telemetry.AttrPolicyKind: "ratelimit"}
		for _, kv := range extra {
			m[kv.Key] = kv.Value.AsInterface()
		}
		return m
	}
	rejected := func(reason string, after float64) []signaltest.Event {
		return []signaltest.Event{{Name: telemetry.EventCallRejected, Attributes: about(
			telemetry.AttrRejectionReason.String(reason), telemetry.AttrRetryAfter.Float64(after))}}
	}
	const maxWait = 5 * time.Second
	for name, tt := range map[string]struct {
		maxWait time.Duration
		rate    float64 // after a first call
		within  time.Duration
		cancel  time.Duration // or -1
		want    string        // the result
		events  []signaltest.Event
		lines   []string
		waits   float64
	}{
		"admitted at once": {maxWait, 1e6, time.Hour, -1, "admitted", nil, nil, 0},
		"admitted after a wait": {maxWait, 0.5, time.Hour, -1, "admitted", []signaltest.Event{
			{Name: telemetry.EventCallWaited, Attributes: about(telemetry.AttrWait.Float64(2))},
		}, nil, 1},
		"rate": {0, 1, time.Hour, -1, "rejected", rejected("rate", 1), []string{
			`level=DEBUG msg="l: Rejected by a rate limit (rate). Not before 1.00s" resilience.rejection.reason=rate ` +
				`resilience.rejection.retry_after=1 resilience.policy.kind=ratelimit resilience.policy.name=l`,
		}, 0},
		"wait": {maxWait, 0.125, time.Hour, -1, "rejected", rejected("wait", 8), []string{
			`level=DEBUG msg="l: Rejected by a rate limit (wait). Not before 8.00s" resilience.rejection.reason=wait ` +
				`resilience.rejection.retry_after=8 resilience.policy.kind=ratelimit resilience.policy.name=l`,
		}, 0},
		"deadline": {maxWait, 0.25, time.Second, -1, "rejected", rejected("deadline", 4), []string{
			`level=DEBUG msg="l: Rejected by a rate limit (deadline). Not before 4.00s" resilience.rejection.reason=deadline ` +
				`resilience.rejection.retry_after=4 resilience.policy.kind=ratelimit resilience.policy.name=l`,
		}, 0},
		"canceled while waiting": {maxWait, 0.5, time.Hour, time.Second, "canceled", nil, nil, 0},
		"canceled before":        {maxWait, 0.5, time.Hour, 0, "canceled", nil, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				signals := signaltest.New()
				limit := ratelimit.MustNew("l", tt.rate, ratelimit.WithMaxWait(tt.maxWait),
					ratelimit.WithTelemetry(signals.Options()...), ratelimit.WithTelemetry())
				want := map[string]float64{"l admitted": 0, "l rejected": 0, "l canceled": 0}
				assert.Equal(t, want, signals.Metric(t, telemetry.MetricRateLimitCalls), "from the first export on")
				require.True(t, limit.Allow())
				if tt.rate > 1 {
					time.Sleep(time.Second) // it has a turn again
				}
				want["l admitted"]++

				events := signals.Span(t.Context(), func(ctx context.Context) {
					ctx, cancel := context.WithTimeout(ctx, tt.within)
					defer cancel()
					if tt.cancel >= 0 {
						time.AfterFunc(tt.cancel, cancel)
						synctest.Wait()
					}
					err := limit.Do(ctx, succeed)
					assert.Equal(t, tt.want == "admitted", err == nil)
				})
				want["l "+tt.want]++
				assert.Equal(t, want, signals.Metric(t, telemetry.MetricRateLimitCalls))
				assert.Equal(t, tt.waits, signals.Metric(t, telemetry.MetricRateLimitWait)["l"])
				assert.Equal(t, tt.events, events)
				assert.Equal(t, tt.lines, signals.Lines())
			})
		})
	}
}

func TestOtherSignals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		signals := signaltest.New()
		limit := ratelimit.MustNew("l", 2.5, ratelimit.WithTelemetry(signals.Options()...))
		assert.Equal(t, map[string]float64{"l": 2.5}, signals.Metric(t, telemetry.MetricRateLimitRate))
		require.NoError(t, limit.SetRate(40))
		assert.Equal(t, map[string]float64{"l": 40}, signals.Metric(t, telemetry.MetricRateLimitRate))

		require.True(t, limit.Allow())
		require.False(t, limit.Allow())
		assert.Equal(t, map[string]float64{"l admitted": 1, "l rejected": 1, "l canceled": 0},
			signals.Metric(t, telemetry.MetricRateLimitCalls))
		assert.Empty(t, signals.Lines(), "Allow only counts")

		limit.Warn(t.Context(), resilience.Problem{Reason: resilience.NestedRetries, Detail: "why"})
		assert.Equal(t, map[string]float64{"nested_retries l": 1}, signals.Metric(t, telemetry.MetricCompositionWarnings))

		off := ratelimit.MustNew("l", 1, ratelimit.WithTelemetry(telemetry.Off()))
		require.NoError(t, off.Wait(t.Context()))
		require.Error(t, off.Wait(t.Context()))
		off.Warn(t.Context(), resilience.Problem{})
	})
}
