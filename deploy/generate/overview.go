package main

import "github.com/observable-go/toolkit/resilience/telemetry"

// dashboards returns all of them.
func dashboards(r *registry) []dashboard {
	return []dashboard{overview(r), policyBoard(r), guardsBoard(r)}
}

// overview shows all policies of some services.
func overview(r *registry) dashboard {
	jobs := chosen("job", "job")
	figure := func(record string) string { return recorded(record, jobs) }
	each := func(title, what, unit, record string) panel {
		return chart(title, what, unit, q(legendPolicy, figure(record))).toPolicy()
	}
	return newDashboard("overview", uidOverview, "Resilience: overview",
		"Every policy of the chosen services: do calls fail, do retries save them, and what does that cost the callee?",
		[]variable{datasourceVariable(), jobVariable(r.series(telemetry.MetricRetryCalls), true)},
		[]section{
			{"All policies together", totals(r, jobs)},
			{"Which policy?", []panel{troubled(jobs), firing(jobs)}},
			{"The five figures, by policy", []panel{
				each("1. Retry rate", "Share of the calls that were retried. Near 0 is usual.", share01, recordRetryRate).
					alertsAbove(retryRateHigh, "ResilienceRetryRateHigh"),
				each("2. Success after retry", "Share of the calls that failed at first and succeeded in the end: what the retries are worth.",
					share01, recordSaved),
				each("3. Exhausted retries", "Calls each second that failed in their last attempt.", perSecond, recordExhausted),
				each("4. Retries a call", "Retries divided by calls. With a budget this levels off near its ratio, 0.1 by default.",
					attemptsU, recordRetriesPerCall),
				each("5. Retry latency, all calls", "Seconds that calls spend on retries, each second: how many calls are waiting at any time.",
					seconds, recordRetryLatency),
				each("Retry latency, one retried call", "What a retry costs the user who waits for it, on average.",
					seconds, recordLatencyPerRetried),
			}},
			{"Failures and load", []panel{
				each("Calls given up", "Share of the calls that ended without success: attempts, budget or time used up, "+
					"refused by a guard, or a panic. The caller got an error.", share01, recordGivenUp).
					alertsAbove(givenUpHigh, "ResilienceCallsGivenUp"),
				each("Amplification", "Attempts that reach the callee for one call. 1 is no retries; 4 is a storm with the default of 3 retries, "+
					"below 1 a guard keeps calls away.",
					attemptsU, recordAmplification).empty(noCalls).alertsAbove(amplificationHigh, "ResilienceAmplification"),
				chart("Failed attempts by error type", "What goes wrong, across all policies. Types such as breaker_open are refusals "+
					"of a guard, which did not reach the callee.", perSecond,
					q("{{error_type}}", sumBy([]string{label(telemetry.AttrErrorType)},
						rateOver(r.series(telemetry.MetricRetryAttempts, jobs, not(telemetry.AttrErrorType, "")), grafanaSpan)))).stacked(),
			}},
		})
}

// grafanaSpan is the span of rates in charts, which Grafana fits to the width of the chart.
const grafanaSpan = "$__rate_interval"

// totals are the figures of all policies together. They are not made from the ratios of the policies,
// of which those without calls are NaN.
func totals(r *registry, jobs matcher) []panel {
	calls := "sum(" + recorded(recordCalls, jobs) + ")"
	of := func(series string) string { return orZero("sum(" + rate(series) + ")") }
	retried := of(r.count(telemetry.MetricRetryLatency, jobs))
	ended := func(outcome ...string) string {
		return of(r.series(telemetry.MetricRetryCalls, jobs, is(telemetry.AttrOutcome, outcome...)))
	}
	return []panel{
		stat("Retry rate", "Share of the calls that were retried.", share01, ratio(retried, calls)).
			alertsAbove(retryRateHigh, "ResilienceRetryRateHigh"),
		stat("Success after retry", "Share of the calls that a retry saved.", share01,
			ratio(ended(telemetry.OutcomeSuccessAfterRetry.String()), calls)),
		stat("Exhausted", "Calls each second that failed in their last attempt.", perSecond, ended(telemetry.OutcomeExhausted.String())),
		stat("Retries a call", "Retries divided by calls.", attemptsU, ratio(of(r.count(telemetry.MetricRetryDelay, jobs)), calls)),
		stat("Retry latency", "Seconds that calls spend on retries, each second.", seconds, of(r.sum(telemetry.MetricRetryLatency, jobs))),
		stat("Given up", "Share of the calls that ended without success. The callers got errors.", share01,
			ratio(ended(givenUp...), calls)).alertsAbove(givenUpHigh, "ResilienceCallsGivenUp"),
	}
}

// rowPolicy leads from the cell with a policy to its dashboard. Its row has the column Service.
const rowPolicy = "/d/" + uidPolicy +
	"?var-datasource=${datasource}&var-job=${__data.fields.Service}&var-policy=${__value.raw}&${__url_time_range}"

// troubled lists the policies, those first that give up most.
func troubled(jobs matcher) panel {
	// The name of the record is dropped: rows are joined by their labels.
	// NaN, of policies without calls, is not >= 0.
	top := func(record string) string { return maxBy(byPolicy, recorded(record, jobs)) + " >= 0" }
	policy := label(telemetry.AttrPolicyName)
	return table("Policies, the most troubled first",
		"One row a policy. Click its name to see it alone. \"none\": nothing of that kind happened yet, or there were no calls.",
		map[string]string{"job": "Service", policy: "Policy"},
		column{"Given up", share01, top(recordGivenUp), givenUpHigh},
		column{"Not successful", share01, top(recordFailed), failedHigh},
		column{"Calls", perSecond, top(recordCalls), 0},
		column{"Retry rate", share01, top(recordRetryRate), retryRateHigh},
		column{"Saved by a retry", share01, top(recordSaved), 0},
		column{"Exhausted", share01, top(recordExhaustedShare), exhaustedHigh},
		column{"Retries a call", attemptsU, top(recordRetriesPerCall), 0},
		column{"Amplification", attemptsU, top(recordAmplification), amplificationHigh},
	).empty("none").linked("Policy", "This policy", rowPolicy)
}

// firing lists the alerts of these services, also those that wait for their time.
func firing(jobs matcher) panel {
	of := append(append([]string{"alertname", "alertstate", "severity"}, byPolicy...), label(telemetry.AttrBudgetName))
	p := table("Alerts", "Alerts of this toolkit, pending ones too. Click the name to read what to do, and the policy to see it.",
		map[string]string{
			"alertname": "Alert", "alertstate": "State", "severity": "Severity", "job": "Service",
			label(telemetry.AttrPolicyName): "Policy", label(telemetry.AttrBudgetName): "Budget",
		},
		column{"Firing", "none", aggregate("count", of, `ALERTS{alertname=~"Resilience.+",`+jobs.String()+`}`), 0},
	).linked("Alert", "What to do", runbooks+"${__value.raw}.md").linked("Policy", "This policy", rowPolicy)
	p.GridPos.H = 6
	return p.empty("none")
}
