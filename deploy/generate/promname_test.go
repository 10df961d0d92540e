package main

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/observable-go/toolkit/resilience/telemetry"
)

// The names are those that a Prometheus with its OTLP receiver shows.
func TestPromName(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, instrument, unit string
		want                   string
	}{
		{"resilience.retry.calls", "counter", "{call}", "resilience_retry_calls_total"},
		{"resilience.retry.latency", "histogram", "s", "resilience_retry_latency_seconds"},
		{"resilience.budget.tokens", "gauge", "{token}", "resilience_budget_tokens"},
		{"resilience.breaker.state", "updowncounter", "{breaker}", "resilience_breaker_state"},
		{"resilience.breaker.failure_ratio", "gauge", "1", "resilience_breaker_failure_ratio"}, // not twice
		{"resilience.delays.factor", "gauge", "1", "resilience_delays_factor_ratio"},
		{"resilience.ratelimit.rate", "gauge", "{call}/s", "resilience_ratelimit_rate_per_second"},
		{"resilience.hedge.delay", "gauge", "s", "resilience_hedge_delay_seconds"},

		// Of others, for the rules that these do not show.
		{"requests.total", "counter", "{request}", "requests_total"},
		{"total.requests", "counter", "1", "requests_total"},
		{"wait.seconds", "gauge", "s", "wait_seconds"},
		{"a.ratio.of_things", "gauge", "1", "a_of_things_ratio"},
		{"active", "updowncounter", "1", "active"}, // only gauges are ratios
		{"body.size", "histogram", "By", "body_size_bytes"},
		{"traffic", "gauge", "By/s", "traffic_bytes_per_second"},
		{"a--b__c", "gauge", "{x}", "a_b_c"},
	} {
		assert.Equal(t, tt.want, promName(metric{tt.name, tt.instrument, tt.unit}), "%s, %s of %s", tt.name, tt.instrument, tt.unit)
	}
	assert.Equal(t, "resilience_policy_name", label(telemetry.AttrPolicyName))
}
