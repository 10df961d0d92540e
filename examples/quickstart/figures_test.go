package main

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/observable-go/toolkit/resilience/telemetry"
)

// exported is what a reader would collect of two policies and a budget.
func exported() *metricdata.ResourceMetrics {
	call := func(policy string, o telemetry.Outcome, n int64) metricdata.DataPoint[int64] {
		return metricdata.DataPoint[int64]{Value: n, Attributes: attribute.NewSet(
			telemetry.AttrPolicyName.String(policy), telemetry.AttrOutcome.String(o.String()))}
	}
	attempt := func(policy, outcome string, n int64) metricdata.DataPoint[int64] {
		return metricdata.DataPoint[int64]{Value: n, Attributes: attribute.NewSet(
			telemetry.AttrPolicyName.String(policy), telemetry.AttrAttemptOutcome.String(outcome))}
	}
	durations := func(o telemetry.Outcome, n uint64, sum float64) metricdata.HistogramDataPoint[float64] {
		return metricdata.HistogramDataPoint[float64]{Count: n, Sum: sum, Attributes: attribute.NewSet(
			telemetry.AttrPolicyName.String("a"), telemetry.AttrOutcome.String(o.String()))}
	}
	level := func(budget string, tokens float64) metricdata.DataPoint[float64] {
		return metricdata.DataPoint[float64]{Value: tokens, Attributes: attribute.NewSet(telemetry.AttrBudgetName.String(budget))}
	}
	return &metricdata.ResourceMetrics{ScopeMetrics: []metricdata.ScopeMetrics{
		{Scope: instrumentation.Scope{Name: "another"}, Metrics: []metricdata.Metrics{
			{Name: telemetry.MetricRetryCalls, Data: metricdata.Sum[int64]{DataPoints: []metricdata.DataPoint[int64]{
				call("a", telemetry.OutcomeSuccess, 1e6),
			}}},
		}},
		{Scope: instrumentation.Scope{Name: telemetry.ScopeName}, Metrics: []metricdata.Metrics{
			{Name: telemetry.MetricRetryCalls, Data: metricdata.Sum[int64]{DataPoints: []metricdata.DataPoint[int64]{
				call("a", telemetry.OutcomeSuccess, 60),
				call("a", telemetry.OutcomeSuccessAfterRetry, 15),
				call("a", telemetry.OutcomeExhausted, 5),
				call("a", telemetry.OutcomeBudgetExhausted, 12), // 4 of them after a retry
				call("a", telemetry.OutcomeNotRetryable, 8),     // 1 of them after a retry
				call("a", telemetry.OutcomeNotStarted, 7),
				call("b", telemetry.OutcomeSuccess, 1000),
			}}},
			{Name: telemetry.MetricRetryAttempts, Data: metricdata.Sum[int64]{DataPoints: []metricdata.DataPoint[int64]{
				attempt("a", "success", 75), attempt("a", "failure", 57), attempt("b", "success", 1000),
			}}},
			{Name: telemetry.MetricRetryDelay, Data: metricdata.Histogram[float64]{DataPoints: []metricdata.HistogramDataPoint[float64]{
				durations(telemetry.OutcomeSuccess, 32, 3),
			}}},
			{Name: telemetry.MetricRetryLatency, Data: metricdata.Histogram[float64]{DataPoints: []metricdata.HistogramDataPoint[float64]{
				durations(telemetry.OutcomeSuccessAfterRetry, 15, 2.5),
				durations(telemetry.OutcomeExhausted, 5, 1.5),
				durations(telemetry.OutcomeBudgetExhausted, 4, .75),
				durations(telemetry.OutcomeNotRetryable, 1, .25),
			}}},
			{Name: telemetry.MetricCallDuration, Data: metricdata.Histogram[float64]{DataPoints: []metricdata.HistogramDataPoint[float64]{
				durations(telemetry.OutcomeSuccess, 100, 100),
			}}},
			{Name: telemetry.MetricBudgetTokens, Data: metricdata.Gauge[float64]{DataPoints: []metricdata.DataPoint[float64]{
				level("x", 1.5), level("y", 20),
			}}},
			{Name: telemetry.MetricBudgetCapacity, Data: metricdata.Gauge[float64]{DataPoints: []metricdata.DataPoint[float64]{
				level("x", 99),
			}}},
		}},
	}}
}

func TestFigures(t *testing.T) {
	c := countsOf(exported(), "a")
	assert.EqualValues(t, 107, c.calls())
	assert.EqualValues(t, 132, c.attempts)
	assert.Equal(t, figures{
		calls:           100,
		retryRate:       0.25,
		savedOfCalls:    0.15,
		savedOfRetried:  0.6,
		exhausted:       5,
		budgetExhausted: 12,
		retriesPerCall:  0.32,
		retryLatency:    5 * time.Second,
	}, figuresOf(c))
}

func TestFiguresWithoutRetries(t *testing.T) {
	f := figuresOf(countsOf(exported(), "b"))
	assert.EqualValues(t, 1000, f.calls)
	assert.Zero(t, f.retryRate)
	assert.Zero(t, f.retriesPerCall)
	assert.True(t, math.IsNaN(f.savedOfRetried))
}

func TestFiguresOfNothing(t *testing.T) {
	f := figuresOf(countsOf(&metricdata.ResourceMetrics{}, "a"))
	assert.Zero(t, f.calls)
	assert.Equal(t, "-", percent(f.retryRate))
}

func TestTokens(t *testing.T) {
	assert.Equal(t, 1.5, tokensOf(exported(), "x"))
	assert.Equal(t, 20.0, tokensOf(exported(), "y"))
	assert.Zero(t, tokensOf(exported(), "z"))
}
