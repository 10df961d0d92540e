package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdklog "go.opentelemetry.io/otel/sdk/log"

	"github.com/observable-go/toolkit/internal/signaltest"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

func limitOf(n int) func() telemetry.BulkheadLevel {
	return func() telemetry.BulkheadLevel { return telemetry.BulkheadLevel{Limit: n} }
}

func tellEverything(ctx context.Context, g *telemetry.Guard) {
	g.Count(telemetry.ResultAdmitted)
	g.Rejected(ctx, telemetry.Rejection{Reason: "full", RetryAfter: time.Second})
	g.Waited(ctx, time.Second)
	g.Warn(ctx, "nested_retries", "why")
	g.StateChanged(ctx, telemetry.BreakerChange{From: "closed", To: "open"})
	g.TimedOut(ctx, time.Second)
	g.HedgeSent(ctx, 2, time.Second)
	g.HedgeDenied(ctx)
	g.HedgeWon(ctx, 2)
	g.CopyPanicked(ctx, 2, "boom")
	g.FallbackUsed(ctx, errors.New("why"), "why")
	g.FallbackFailed(ctx, errors.New("why"), "why")
	g.Exchanged(time.Second)
	g.ExchangeFailed(telemetry.ResultFailure, errors.New("why"), "why")
	g.ModeChanged(telemetry.SharedBudgetChange{From: "shared", To: "closed"})
}

func TestGuardOff(t *testing.T) {
	t.Parallel()
	g, err := telemetry.NewBulkhead("g", limitOf(1), telemetry.Off())
	require.NoError(t, err)
	assert.Nil(t, g)
	tellEverything(t.Context(), g)
	var none *telemetry.Retry
	none.Warn(t.Context(), "nested_retries", "why")
}

// A result that a kind does not know counts nowhere, and breaks nothing.
func TestGuardResultOfAnotherKind(t *testing.T) {
	t.Parallel()
	signals := signaltest.New()
	g, err := telemetry.NewTimeout("g", signals.Metrics()...)
	require.NoError(t, err)
	g.Count(telemetry.ResultAdmitted)
	g.Waited(t.Context(), time.Second)
	assert.Equal(t, map[string]float64{"g completed": 0, "g timed_out": 0, "g panic": 0}, signals.Metric(t, telemetry.MetricTimeoutCalls))
	for r := range telemetry.ResultPanic + 2 {
		assert.NotEmpty(t, r.String())
	}
}

func TestGuardsOfOneName(t *testing.T) {
	t.Parallel()
	signals := signaltest.New()
	for i := range 3 {
		g, err := telemetry.NewBulkhead("g", limitOf(i+1), signals.Metrics()...)
		require.NoError(t, err)
		g.Count(telemetry.ResultAdmitted)
	}
	assert.Equal(t, map[string]float64{"g": 3}, signals.Metric(t, telemetry.MetricBulkheadLimit), "the newest")
	assert.Equal(t, 3.0, signals.Metric(t, telemetry.MetricBulkheadCalls)["g admitted"], "the sum")

	for i := range telemetry.MaxNames + 5 {
		g, err := telemetry.NewBulkhead(fmt.Sprint("more", i), limitOf(9), signals.Metrics()...)
		require.NoError(t, err)
		g.Count(telemetry.ResultAdmitted)
	}
	calls := signals.Metric(t, telemetry.MetricBulkheadCalls)
	assert.Len(t, calls, 3*(telemetry.MaxNames+1))
	assert.Equal(t, 6.0, calls[telemetry.Other+" admitted"])
	assert.NotContains(t, signals.Metric(t, telemetry.MetricBulkheadLimit), telemetry.Other, "whose would it be?")
	_, err := telemetry.NewTimeout("another kind", signals.Metrics()...)
	require.NoError(t, err)
	assert.Contains(t, signals.Metric(t, telemetry.MetricTimeoutCalls), "another kind completed")
}

func TestGuardEvents(t *testing.T) {
	t.Parallel()
	for events, want := range map[telemetry.Events]int{telemetry.EventsAll: 10, telemetry.EventsTroubled: 10, telemetry.EventsNone: 0} {
		signals, logs := signaltest.New(), &logKeeper{}
		g, err := telemetry.NewFallback("g", append(signals.Options(), telemetry.WithEvents(events),
			telemetry.WithLoggerProvider(sdklog.NewLoggerProvider(sdklog.WithProcessor(logs))))...)
		require.NoError(t, err)
		assert.Len(t, signals.Span(t.Context(), func(ctx context.Context) {
			g.Rejected(ctx, telemetry.Rejection{Reason: "full"})
			g.Waited(ctx, time.Second)
			g.Warn(ctx, "nested_retries", "why")
			g.StateChanged(ctx, telemetry.BreakerChange{From: "open", To: "closed"})
			g.TimedOut(ctx, time.Second)
			g.CopyPanicked(ctx, 2, "boom")
			g.HedgeWon(ctx, 2)
			g.HedgeWon(ctx, 3)
			g.FallbackUsed(ctx, errors.New("https://user:secret@host/?key=secret"), "why")
			g.FallbackFailed(ctx, errors.New("why"), "why")
		}), want)
		assert.Len(t, logs.records, want)
		lines := signals.Lines()
		for _, line := range lines {
			assert.NotContains(t, line, "secret")
		}
		assert.Len(t, lines, 7, "%q", lines)
	}
}
