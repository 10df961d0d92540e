package main

import (
	"strings"

	"github.com/observable-go/toolkit/resilience/telemetry"
)

// runbooks is where the pages of the alerts are. Set it to where your on-call engineers read them.
const runbooks = "https://github.com/observable-go/toolkit/blob/main/docs/runbooks/"

// Severities: critical is meant to page somebody, warning to be looked at in working hours.
const (
	critical = "critical"
	warning  = "warning"
)

// Thresholds of the alerts. The dashboards show the same.
const (
	// minCalls is how many calls a second it takes for a share of them to mean anything: 30 in five
	// minutes. Below that a single failed call at night would be an alert.
	minCalls = 0.1
	// retryRateHigh is half of what a budget with its default ratio lets through in an outage, where the
	// retry rate comes to about 0.1: a higher threshold would never be reached there.
	retryRateHigh    = 0.05
	exhaustedHigh    = 0.01
	givenUpHigh      = 0.05
	unclassifiedHigh = 0.01
	// failedHigh leaves room for policies whose calls fail often by design, such as look-ups of what may be missing.
	failedHigh = 0.95
	// amplificationHigh is far above the 1.1 of a budget with its default ratio.
	amplificationHigh = 1.5
	deniedHigh        = 0.1 // retries a second: the default floor alone allows 1
	rejectedHigh      = 0.05
	timedOutHigh      = 0.05
	fallbacksHigh     = 0.01
	flapsHigh         = 5 // times that a breaker closed again in half an hour
)

// An alert is an alerting rule. Its page is docs/runbooks/<name>.md.
type alert struct {
	name     string
	severity string
	wait     string // how long the condition must hold, "" for not at all
	summary  string
	detail   string // a sentence with the values, in the templates of Prometheus
	expr     string
}

// Fragments of the templates.
const (
	policyOf = "{{ $labels.job }}: {{ $labels.resilience_policy_name }}"
	budgetOf = "{{ $labels.job }}: the budget {{ $labels.resilience_budget_name }}"
	share    = "{{ $value | humanizePercentage }}"
	// Not humanize, which shows 0.25 as "250m".
	number      = `{{ $value | printf "%.2f" }}`
	wholeFormat = `printf "%.0f"`
	whole       = `{{ $value | ` + wholeFormat + ` }}`
)

// now shows the value that a recording rule has for the policy of the alert.
func now(format, record string, matchers ...matcher) string {
	return with(byPolicy, recorded(record, append(matchers, labelled(byPolicy)...)...), first(format)) + unknown
}

// with looks a query up, and shows the text if there is an answer. What to show if not follows it. The labels are
// those of the alert that the query asks for.
func with(labels []string, query, text string) string {
	return "{{ with printf `" + strings.ReplaceAll(query, `"%s"`, "%q") + "` $labels." + // %q also escapes
		strings.Join(labels, " $labels.") + " | query }}" + text
}

// labelled picks the series with the labels of an alert, by with.
func labelled(labels []string) []matcher {
	matchers := make([]matcher, len(labels))
	for i, name := range labels {
		matchers[i] = matcher{label: name, operator: "=", values: []string{"%s"}}
	}
	return matchers
}

// first shows the value of the first series that with has found.
func first(format string) string { return "{{ . | first | value | " + format + " }}" }

const unknown = "{{ else }}an unknown number{{ end }}"

// processes selects how many processes decide in some modes on the budget of the alert, by with.
func processes(matchers ...matcher) string {
	return recorded(recordSharedBudgets, append(matchers, labelled(byBudget)...)...)
}

// alerts returns the alerting rules, those that page first.
func alerts(r *registry) []alert {
	busy := func(expr string) string { return and(expr, above(recordCalls, minCalls)) }
	return append(policyAlerts(r, busy), guardAlerts(r)...)
}

func policyAlerts(r *registry, busy func(string) string) []alert {
	calls := now(`printf "%.2f"`, recordCalls) + " calls/s"
	panics := r.series(telemetry.MetricRetryCalls, is(telemetry.AttrOutcome, telemetry.OutcomePanic.String()))
	return []alert{
		{
			name: "ResilienceCallsGivenUp", severity: critical, wait: "5m",
			summary: policyOf + " gives up calls",
			detail: share + " of " + calls + " ended without success: attempts, budget or time used up, refused by a guard, or a panic. " +
				"The callers got errors.",
			expr: busy(above(recordGivenUp, givenUpHigh)),
		},
		{
			// What the other alerts leave out: permanent errors, calls that were cancelled, errors that nobody classified.
			name: "ResilienceNothingSucceeds", severity: critical, wait: "10m",
			summary: policyOf + ": hardly any call succeeds",
			detail:  share + " of " + calls + " did not succeed, for whatever reason. The outcomes say which.",
			expr:    busy(above(recordFailed, failedHigh)),
		},
		{
			name: "ResilienceRetriesExhausted", severity: warning, wait: "10m",
			summary: policyOf + " exhausts its retries",
			detail:  share + " of " + calls + " failed in their last attempt: repeating them does not help.",
			expr:    busy(above(recordExhaustedShare, exhaustedHigh)),
		},
		{
			name: "ResilienceRetryRateHigh", severity: warning, wait: "10m",
			summary: policyOf + " retries much",
			detail: share + " of " + calls + " were retried, " + now("humanizePercentage", recordSaved) +
				" succeeded by that. The users wait longer; retries add to the load of the callee.",
			expr: busy(above(recordRetryRate, retryRateHigh)),
		},
		{
			name: "ResilienceAmplification", severity: warning, wait: "10m",
			summary: policyOf + " multiplies the load on its callee",
			detail: "The callee gets " + number + " attempts for each of " + calls +
				": no budget holds the retries back, or its floor or ratio is large for these calls.",
			expr: busy(above(recordAmplification, amplificationHigh)),
		},
		{
			name: "ResilienceErrorsUnclassified", severity: warning, wait: "15m",
			summary: policyOf + " fails with errors that nobody classified",
			detail:  share + " of " + calls + " ended with an error that is not retried as nobody said what it is.",
			expr:    busy(above(recordUnclassified, unclassifiedHigh)),
		},
		{
			// The first panic makes the series, which rate and increase do not see: what was not there
			// before the window counts in full.
			name: "ResiliencePanics", severity: warning,
			summary: policyOf + " panicked",
			detail:  "Calls that panicked in the last 15 minutes: " + whole + ". Each is a bug in the operation.",
			expr: above(sumBy(byPolicy, "\n  ("+panics+" unless "+panics+" offset 15m)\n  or "+increase(panics, "15m")+"\n"),
				0),
		},
		{
			name: "ResilienceCompositionWrong", severity: warning,
			summary: policyOf + " is composed wrongly ({{ $labels.resilience_composition_reason }})",
			detail: "The order of the policies is known to be wrong: {{ $labels.resilience_composition_reason }}, counted: " + whole +
				". The log line and the event say what to do.",
			expr: above(sumBy(byComposition,
				r.series(telemetry.MetricCompositionWarnings)), 0),
		},
	}
}

func guardAlerts(r *registry) []alert {
	through := func(kind string) string {
		return "on (job, " + label(telemetry.AttrPolicyName) + ") " + above(recorded(recordGuardCalls, is(guardLabel, kind)), minCalls)
	}
	counted := func(query string) string { return with(byBudget, query, first(wholeFormat)) + unknown }
	in := func(mode string) matcher { return is(telemetry.AttrSharedBudgetMode, mode) }
	closed := r.series(telemetry.MetricBreakerTransitions, is(telemetry.AttrBreakerState, "closed"))
	called := sumWithout([]string{label(telemetry.AttrResult)}, rate(r.series(telemetry.MetricBreakerCalls)))
	stuckAndCalled := "\n  " + above(r.series(telemetry.MetricBreakerState, is(telemetry.AttrBreakerState, stuck...)), 0) +
		"\n  and ignoring (" + label(telemetry.AttrBreakerState) + ") " + above(called, 0) + "\n"
	return []alert{
		{
			// A breaker that nobody calls stays half-open, as in a process that stands by: it harms nobody. So each
			// process counts only if it is called itself.
			name: "ResilienceBreakerOpen", severity: critical, wait: "5m",
			summary: policyOf + ": the breaker stays open",
			detail: "The breaker does not let calls pass, in processes: " + whole + ". Rejected calls/s: " +
				now(`printf "%.2f"`, recordRejected, is(guardLabel, "breaker")) + ".",
			expr: and(sumBy(byPolicy, stuckAndCalled), through("breaker")),
		},
		{
			// Each probe that fails opens the breaker again: only how often it closed tells flapping from an outage.
			name: "ResilienceBreakerFlapping", severity: warning, wait: "5m",
			summary: policyOf + ": the breaker opens again and again",
			detail: "The breaker of one process opened and closed again " + whole +
				" times in half an hour: the callee bears the probes, but not the load.",
			expr: above(maxBy(byPolicy, increase(closed, "30m")), flapsHigh),
		},
		{
			name: "ResilienceBudgetDenies", severity: warning, wait: "5m",
			summary: budgetOf + " denies retries",
			detail: number + " retries/s are denied: " + with(byBudget, above(processes(in(closedMode)), 0),
				"processes that do not reach the store of the budget, and so deny every retry: "+first(wholeFormat)+
					". See ResilienceBudgetNotShared.") + "{{ else }}more calls fail than the budget lets repeat.{{ end }}",
			expr: above(recordBudgetDenied, deniedHigh),
		},
		{
			name: "ResilienceBudgetNotShared", severity: warning, wait: "5m",
			summary: budgetOf + " is not shared by all processes",
			detail: whole + " of " + counted("sum("+processes()+")") + " processes do not reach its store. " +
				"In mode closed, which denies every retry however few calls fail: " + counted(processes(in(closedMode))) +
				". In mode local, where each decides by itself: " + counted(processes(in(localMode))) + ".",
			expr: above(sumBy(byBudget, recorded(recordSharedBudgets, not(telemetry.AttrSharedBudgetMode, sharedMode))), 0),
		},
		{
			name: "ResilienceGuardRejects", severity: warning, wait: "10m",
			summary: policyOf + ": the {{ $labels.guard }} rejects calls",
			detail:  share + " of the calls through this guard ({{ $labels.guard }}) are rejected.",
			expr: and(above(recorded(recordRejectedShare, not(guardLabel, "breaker")), rejectedHigh),
				above(recordGuardCalls, minCalls)),
		},
		{
			name: "ResilienceTimeouts", severity: warning, wait: "10m",
			summary: policyOf + " times out",
			detail:  share + " of the calls under this timeout ran out of time.",
			expr:    and(above(recordTimedOut, timedOutHigh), through("timeout")),
		},
		{
			name: "ResilienceFallbacks", severity: warning, wait: "10m",
			summary: policyOf + " answers with its fallback",
			detail:  share + " of the answers come from the fallback. Users do not see an error, but not the right answer either.",
			expr:    and(above(recordFallbackShare, fallbacksHigh), through("fallback")),
		},
	}
}
