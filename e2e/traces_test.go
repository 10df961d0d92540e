package e2e_test

import (
	"maps"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/e2e/internal/backend"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// attributes are those of an event by their names. A nil value stands for one that is there and
// depends on chance or time.
type attributes = map[string]any

// trace waits for a trace to arrive in Jaeger.
func trace(t *testing.T, id string) (spans []backend.Span) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		var err error
		spans, err = jaeger.Trace(t.Context(), id)
		require.NoError(c, err)
		require.NotEmpty(c, spans)
	}, waitLimit, pollInterval, "trace %s is not in Jaeger", id)
	return spans
}

// an event as it is expected.
type expected struct {
	name       string
	attributes attributes
}

// assertEvents compares all events of a span, in their order, with what is expected.
func assertEvents(t *testing.T, want []expected, got []backend.Event) {
	t.Helper()
	names := func(n int, name func(int) string) (all []string) {
		for i := range n {
			all = append(all, name(i))
		}
		return all
	}
	require.Equal(t, names(len(want), func(i int) string { return want[i].name }), names(len(got), func(i int) string { return got[i].Name }))
	for i, event := range want {
		there := attributes{}
		for key, value := range got[i].Attributes {
			if expected, ok := event.attributes[key]; ok && expected == nil {
				value = nil
			}
			there[key] = value
		}
		assert.Equal(t, event.attributes, there, "event %d, %s", i, event.name)
	}
}

func failed(policy string, attempt int) expected {
	return expected{telemetry.EventAttemptFailed, attributes{
		"resilience.policy.name": policy, "resilience.attempt.number": float64(attempt), "resilience.attempt.max": float64(maxAttempts),
		"error.type": "503", "error.message": "status 503",
	}}
}

func scheduled(policy string, attempt int) expected {
	return expected{telemetry.EventRetryScheduled, attributes{
		"resilience.policy.name": policy, "resilience.attempt.number": float64(attempt),
		"resilience.retry.delay": shortDelay.Seconds(), "resilience.retry.pushback": false,
	}}
}

func succeeded(policy string, attempt int) expected {
	return expected{telemetry.EventAttemptSucceeded, attributes{
		"resilience.policy.name": policy, "resilience.attempt.number": float64(attempt),
	}}
}

// TestEvents reads the events of calls back from Jaeger.
func TestEvents(t *testing.T) { //nolint:tparallel // its parts look at the same traffic
	t.Parallel()
	tr := newTraffic(t, newService(t, "e2e-events"))
	const orders = "orders.get"
	p := tr.policy(orders)
	require.NoError(t, tr.call(t.Context(), p, orders, "saved", "503,503,200"))
	require.ErrorIs(t, tr.call(t.Context(), p, orders, "in-vain", "503"), retry.ErrExhausted)
	tr.sendThroughBudget()
	tr.sendToBreakers()
	tr.sendToLimits()
	tr.sendToTimeout()
	tr.sendToHedges()
	tr.sendToFallback()
	tr.sendWrong()
	tr.flush(t)

	guard := func(policy, kind string, more attributes) attributes {
		all := attributes{"resilience.policy.name": policy, "resilience.policy.kind": kind}
		maps.Copy(all, more)
		return all
	}
	changed := func(policy, from, to, reason string, calls, failures int, more attributes) expected {
		all := guard(policy, "breaker", attributes{
			"resilience.breaker.previous_state": from, "resilience.breaker.state": to, "resilience.breaker.reason": reason,
			"resilience.breaker.window.calls": float64(calls), "resilience.breaker.window.failures": float64(failures),
			"resilience.breaker.window.slow": float64(0),
		})
		maps.Copy(all, more)
		return expected{telemetry.EventBreakerStateChanged, all}
	}
	for call, want := range map[string][]expected{
		"saved": {
			failed(orders, 1), scheduled(orders, 2), failed(orders, 2), scheduled(orders, 3), succeeded(orders, 3),
			{telemetry.EventRetrySucceeded, attributes{
				"resilience.policy.name": orders, "resilience.outcome": "success_after_retry", "resilience.attempts": float64(3),
			}},
		},
		"in-vain": {
			failed(orders, 1), scheduled(orders, 2), failed(orders, 2), scheduled(orders, 3), failed(orders, 3),
			{telemetry.EventRetryExhausted, attributes{
				"resilience.policy.name": orders, "resilience.outcome": "exhausted", "resilience.attempts": float64(3),
				"error.type": "503", "resilience.retry.reason": "max_retries",
			}},
		},
		"denied0": {
			failed("orders.hasty", 1), scheduled("orders.hasty", 2), failed("orders.hasty", 2),
			{telemetry.EventRetryStopped, attributes{
				"resilience.policy.name": "orders.hasty", "resilience.outcome": "budget_exhausted", "resilience.attempts": float64(2),
				"error.type": "503", "resilience.retry.reason": "budget", "resilience.budget.name": "orders",
			}},
		},
		"opens4": {
			changed("breaker.opened", "closed", "open", "consecutive_failures", 5, 3, attributes{"resilience.breaker.open_for": never.Seconds()}),
		},
		"rejected-by-breaker0": {
			{telemetry.EventCallRejected, guard("breaker.opened", "breaker", attributes{
				"resilience.rejection.reason": "open", "resilience.rejection.retry_after": nil,
			})},
		},
		"waits2": {
			{telemetry.EventCallWaited, guard("ratelimit.patient", "ratelimit", attributes{"resilience.wait": nil})},
		},
		"too-slow0": {
			{telemetry.EventTimeoutExceeded, guard("timeout.strict", "timeout", attributes{"resilience.timeout.limit": strictLimit.Seconds()})},
		},
		"second-wins": {
			{telemetry.EventHedgeSent, guard("hedge.quick", "hedge", attributes{
				"resilience.hedge.copy": float64(2), "resilience.hedge.delay": 0.001,
			})},
			{telemetry.EventHedgeWon, guard("hedge.quick", "hedge", attributes{"resilience.hedge.copy": float64(2)})},
		},
		"denied-copy": {
			{telemetry.EventHedgeDenied, guard("hedge.poor", "hedge", nil)},
		},
		"falls-back": {
			{telemetry.EventFallbackUsed, guard("fallback", "fallback", attributes{"error.type": "503", "error.message": "status 503"})},
		},
		"falls-through": {
			{telemetry.EventFallbackFailed, guard("fallback", "fallback", attributes{"error.type": "503", "error.message": nil})},
		},
		"nested": {
			{telemetry.EventCompositionWarning, attributes{
				"resilience.policy.name": "wrong.outer", "resilience.composition.reason": "nested_retries", "resilience.composition.detail": nil,
			}},
			succeeded("wrong.inner", 1), succeeded("wrong.outer", 1),
		},
	} {
		t.Run(call, func(t *testing.T) {
			spans := trace(t, tr.traces[call])
			require.Len(t, spans, 1)
			assert.Equal(t, call, spans[0].Name)
			assertEvents(t, want, spans[0].Events)
		})
	}
}

// TestSpans reads the spans of a call and of its attempts back from Jaeger.
func TestSpans(t *testing.T) {
	t.Parallel()
	tr := newTraffic(t, newService(t, "e2e-spans"))
	const policy = "orders.get"
	p := tr.policy(policy, retry.WithTelemetry(telemetry.WithSpans(), telemetry.WithTracerProvider(tr.tracers)))
	require.NoError(t, tr.call(t.Context(), p, policy, "saved", "503,503,200"))
	tr.flush(t)
	var spans []backend.Span
	require.Eventually(t, func() bool {
		spans = trace(t, tr.traces["saved"])
		return len(spans) == 5
	}, waitLimit, pollInterval)

	byName := map[string][]backend.Span{}
	for _, span := range spans {
		byName[span.Name] = append(byName[span.Name], span)
	}
	require.Len(t, byName[policy], 1)
	call := byName[policy][0]
	require.Len(t, byName["saved"], 1)
	assert.Equal(t, byName["saved"][0].ID, call.Parent)
	assert.Equal(t, "success_after_retry", call.Tags["resilience.outcome"])
	assert.Equal(t, float64(3), call.Tags["resilience.attempts"])
	var numbers []any
	for _, attempt := range byName[policy+" attempt"] {
		assert.Equal(t, call.ID, attempt.Parent)
		numbers = append(numbers, attempt.Tags["resilience.attempt.number"])
	}
	assert.ElementsMatch(t, []any{1.0, 2.0, 3.0}, numbers)
}

// TestExemplars follows exemplars in Prometheus to their traces in Jaeger.
func TestExemplars(t *testing.T) { //nolint:tparallel // its parts look at the same traffic
	t.Parallel()
	tr := newTraffic(t, newService(t, "e2e-exemplars"))
	const policy = "orders.get"
	tr.sendOrders(tr.policy(policy), policy)
	tr.flush(t)
	sent := map[string]string{}
	for call, id := range tr.traces {
		sent[id] = call
	}
	for _, metric := range []string{"resilience_call_duration_seconds", "resilience_retry_latency_seconds", "resilience_retry_delay_seconds"} {
		t.Run(metric, func(t *testing.T) {
			exemplars, err := prometheus.Exemplars(t.Context(), metric+`_bucket{job="`+tr.name+`"}`)
			require.NoError(t, err)
			require.NotEmpty(t, exemplars)
			for _, exemplar := range exemplars {
				id := exemplar.Labels["trace_id"]
				require.Contains(t, sent, id, "a trace that no call had")
				spans := trace(t, id)
				assert.Equal(t, sent[id], spans[0].Name)
				assert.Equal(t, spans[0].ID, exemplar.Labels["span_id"])
			}
		})
	}
}
