package main

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/observable-go/toolkit/resilience/telemetry"
)

// counts is what the exported metrics say of one retry policy.
type counts struct {
	outcomes     map[string]int64 // resilience.retry.calls by resilience.outcome
	attempts     int64            // resilience.retry.attempts
	retries      int64            // count of resilience.retry.delay
	retriedCalls int64            // count of resilience.retry.latency
	retryLatency float64          // sum of resilience.retry.latency, in seconds
}

// countsOf returns the counts of the policy of that name.
func countsOf(rm *metricdata.ResourceMetrics, policy string) *counts {
	c := &counts{outcomes: make(map[string]int64)}
	for _, m := range metricsOf(rm) {
		switch data := m.Data.(type) {
		case metricdata.Sum[int64]:
			for _, p := range data.DataPoints {
				if has(p.Attributes, telemetry.AttrPolicyName, policy) {
					c.addSum(m.Name, p)
				}
			}
		case metricdata.Histogram[float64]:
			for _, p := range data.DataPoints {
				if has(p.Attributes, telemetry.AttrPolicyName, policy) {
					c.addHistogram(m.Name, p)
				}
			}
		}
	}
	return c
}

func (c *counts) addSum(metric string, p metricdata.DataPoint[int64]) {
	switch metric {
	case telemetry.MetricRetryCalls:
		outcome, _ := p.Attributes.Value(telemetry.AttrOutcome)
		c.outcomes[outcome.AsString()] += p.Value
	case telemetry.MetricRetryAttempts:
		c.attempts += p.Value
	}
}

func (c *counts) addHistogram(metric string, p metricdata.HistogramDataPoint[float64]) {
	switch metric {
	case telemetry.MetricRetryDelay:
		c.retries += int64(p.Count)
	case telemetry.MetricRetryLatency:
		c.retriedCalls += int64(p.Count)
		c.retryLatency += p.Sum
	}
}

// calls returns how many calls there were.
func (c *counts) calls() int64 {
	var sum int64
	for _, n := range c.outcomes {
		sum += n
	}
	return sum
}

// of returns how many calls ended with one of the outcomes.
func (c *counts) of(outcomes ...telemetry.Outcome) int64 {
	var sum int64
	for _, o := range outcomes {
		sum += c.outcomes[o.String()]
	}
	return sum
}

// tokensOf returns resilience.budget.tokens of the budget of that name.
func tokensOf(rm *metricdata.ResourceMetrics, budget string) float64 {
	for _, m := range metricsOf(rm) {
		if data, ok := m.Data.(metricdata.Gauge[float64]); ok && m.Name == telemetry.MetricBudgetTokens {
			for _, p := range data.DataPoints {
				if has(p.Attributes, telemetry.AttrBudgetName, budget) {
					return p.Value
				}
			}
		}
	}
	return 0
}

// metricsOf returns the metrics of the toolkit.
func metricsOf(rm *metricdata.ResourceMetrics) []metricdata.Metrics {
	for _, scope := range rm.ScopeMetrics {
		if scope.Scope.Name == telemetry.ScopeName {
			return scope.Metrics
		}
	}
	return nil
}

func has(attributes attribute.Set, key attribute.Key, value string) bool {
	v, ok := attributes.Value(key)
	return ok && v.AsString() == value
}
