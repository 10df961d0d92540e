package inspect_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// A call that succeeds at once does nothing for the page.
func TestUntroubledCallsDoNotAllocate(t *testing.T) {
	unwatched(t)
	f := newFixture(t)
	p := f.newPolicy("a")
	ctx := context.Background()
	op := func(context.Context) (int, error) { return 1, nil }
	assert.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = retry.DoValue(ctx, p, op) }))
}

// What the page tells apart beyond the bound of metrics, these still count as one.
func TestMetricsStayBounded(t *testing.T) {
	t.Parallel()
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	const policies = 3 * telemetry.MaxNames
	for i := range policies {
		p := retry.MustNew(fmt.Sprint("p", i), retry.WithInitialDelay(0), retry.WithTelemetry(telemetry.WithMeterProvider(provider)))
		n := 0
		require.NoError(t, p.Do(t.Context(), func(context.Context) error {
			if n++; n == 1 {
				return failure("reset")
			}
			return nil
		}))
	}
	var all metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &all))
	names, calls := map[string]bool{}, int64(0)
	for _, m := range all.ScopeMetrics[0].Metrics {
		if m.Name != telemetry.MetricRetryCalls {
			continue
		}
		sum, ok := m.Data.(metricdata.Sum[int64])
		require.True(t, ok)
		for _, point := range sum.DataPoints {
			name, _ := point.Attributes.Value(telemetry.AttrPolicyName)
			names[name.AsString()] = true
			calls += point.Value
			if name.AsString() == telemetry.Other && point.Value > 0 {
				assert.EqualValues(t, policies-telemetry.MaxNames, point.Value)
			}
		}
	}
	assert.Len(t, names, telemetry.MaxNames+1)
	assert.EqualValues(t, policies, calls)

	live := telemetry.ReadLive(provider)
	require.Len(t, live.Policies, policies)
	for _, p := range live.Policies {
		assert.EqualValues(t, 1, p.Calls[telemetry.OutcomeSuccessAfterRetry])
		assert.EqualValues(t, 2, p.Attempts)
	}
}
