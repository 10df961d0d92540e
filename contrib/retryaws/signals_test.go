package retryaws_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/retryaws"
	"github.com/observable-go/toolkit/internal/signaltest"
	"github.com/observable-go/toolkit/resilience"
)

func TestCallsAreToldAsThoseOfAPolicy(t *testing.T) {
	t.Parallel()
	signals := signaltest.New()
	run := func(ctx context.Context, script []answer, opts ...retryaws.Option) {
		r := newRetryer(t, append(opts, retryaws.WithTelemetry(signals.Metrics()...))...)
		client, _ := serve(t, r, script...)
		_ = get(ctx, client)
	}
	dead, cancel := context.WithCancel(t.Context())
	cancel()
	run(t.Context(), []answer{ok})
	run(t.Context(), []answer{internal, throttled, ok})
	run(t.Context(), []answer{invalid})
	run(t.Context(), []answer{internal})
	run(t.Context(), []answer{throttled}, retryaws.WithBudget(nil))
	run(resilience.NoRetry(t.Context()), []answer{internal})
	run(dead, []answer{ok})
	assert.Equal(t, map[string]float64{
		"success aws":                              1,
		"success_after_retry aws":                  1,
		"ValidationError not_retryable aws":        1,
		"InternalFailure exhausted aws":            1,
		"ThrottlingException budget_exhausted aws": 1,
		"InternalFailure refused aws":              1,
		"canceled not_started aws":                 1,
	}, nonZero(signals.Metric(t, "resilience.retry.calls")))
	assert.Equal(t, map[string]float64{
		"success aws":                     2,
		"InternalFailure failure aws":     6,
		"ThrottlingException failure aws": 2,
		"ValidationError failure aws":     1,
	}, nonZero(signals.Metric(t, "resilience.retry.attempts")))
	assert.Equal(t, map[string]float64{"aws": 5}, signals.Metric(t, "resilience.retry.delay"))
	assert.Equal(t, map[string]float64{"exhausted aws": 1, "success_after_retry aws": 1},
		signals.Metric(t, "resilience.retry.latency"))
}

func TestEventsOnTheSpanOfTheCaller(t *testing.T) {
	t.Parallel()
	signals := signaltest.New()
	r := newRetryer(t, retryaws.WithTelemetry(signals.Options()...))
	client, _ := serve(t, r, internal, ok)
	events := signals.Span(t.Context(), func(ctx context.Context) { require.NoError(t, get(ctx, client)) })
	assert.Equal(t, []string{
		"resilience.attempt.failed", "resilience.retry.scheduled", "resilience.attempt.succeeded", "resilience.retry.succeeded",
	}, signaltest.Names(events))
	lines := signals.Lines()
	require.NotEmpty(t, lines)
	assert.Contains(t, lines[0], "aws: Attempt 1/4 failed: https response error StatusCode: 500")
}

func TestPanicOfTheTransportIsCountedAndGoesOnUp(t *testing.T) {
	t.Parallel()
	signals := signaltest.New()
	b := &ledger{grant: true}
	cfg := config("http://sts.test")
	n := 0
	cfg.HTTPClient = doer(func(r *http.Request) (*http.Response, error) {
		if n++; n == 1 {
			return internal.response(r), nil
		}
		panic("broken transport")
	})
	r := newRetryer(t, retryaws.WithBudget(b), retryaws.WithTelemetry(signals.Metrics()...))
	require.NoError(t, r.Install(&cfg))
	assert.PanicsWithValue(t, "broken transport", func() { _ = get(t.Context(), sts.NewFromConfig(cfg)) })
	assert.Equal(t, map[string]float64{"panic panic aws": 1}, nonZero(signals.Metric(t, "resilience.retry.calls")))
	assert.Equal(t, ledger{grant: true, deposits: 1, withdrawals: 1}, b.counts(), "the retry was sent")
}

func nonZero(points map[string]float64) map[string]float64 {
	for by, value := range points {
		if value == 0 {
			delete(points, by)
		}
	}
	return points
}
