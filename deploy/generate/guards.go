package main

import (
	"slices"

	"github.com/observable-go/toolkit/resilience/telemetry"
)

// guardSeries picks everything that guards and budgets show.
const guardSeries = `__name__=~"resilience_(` +
	`budget|shared_budget|breaker|bulkhead|ratelimit|adaptive|throttle|delays|timeout|hedge|fallback|composition)_.+"`

// guardsBoard shows budgets, breakers and the other guards.
func guardsBoard(r *registry) dashboard {
	jobs := chosen("job", "job")
	g := guardPanels{r, []matcher{jobs, chosen(label(telemetry.AttrPolicyName), "guard")}}
	return newDashboard("guards", uidGuards, "Resilience: budgets, breakers and other guards",
		"What keeps a failure from becoming an outage: who denies retries, who rejects calls, and how near each is to its limit.",
		[]variable{
			datasourceVariable(), jobVariable("{"+guardSeries+"}", true),
			// Not the variable of a policy: links hand variables on, and guards may have names of their own.
			labelVariable("guard", "Guard", "label_values({"+guardSeries+","+jobs.String()+"}, "+label(telemetry.AttrPolicyName)+")", true),
			labelVariable("budget", "Budget", "label_values("+r.series(telemetry.MetricBudgetCapacity, jobs)+", "+
				label(telemetry.AttrBudgetName)+")", true),
		},
		[]section{
			{"Budgets", emptyAll("no budget here", budgetPanels(r, []matcher{jobs, chosen(label(telemetry.AttrBudgetName), "budget")}))},
			{"Budgets that replicas share", emptyAll("no shared budget here",
				sharedBudgetPanels(r, []matcher{jobs, chosen(label(telemetry.AttrBudgetName), "budget")}))},
			{"Breakers", emptyAll("no breaker here", g.breakers())},
			{"All guards", emptyAll("no guard here", g.all())},
			{"Bulkheads", emptyAll("no bulkhead here", g.bulkheads())},
			{"Rate limits", emptyAll("no rate limit here", g.rateLimits())},
			{"Adaptive: rate, throttle, delays", emptyAll("none of these here", g.adaptive())},
			{"Timeouts, hedges, fallbacks", emptyAll("none of these here", g.others())},
		})
}

func budgetPanels(r *registry, chosen []matcher) []panel {
	result := label(telemetry.AttrBudgetResult)
	return []panel{
		chart("What is left", "Share of a full budget, in the emptiest process; of a budget that replicas share, what all of them have left. "+
			"At 0 retries are denied until tokens drip in.", share01,
			q(legendBudget, recorded(recordBudgetLevel, chosen...))),
		chart("Retries by answer", "Granted retries are sent. Denied ones end their call at once: no more load for the callee.", perSecond,
			q("{{resilience_budget_result}}: "+legendBudget, sumBy(append([]string{result}, byBudget...),
				rateOver(r.series(telemetry.MetricBudgetWithdrawals, chosen...), grafanaSpan)))),
		chart("Denied retries", "Retries that were denied, each second. In an outage this is the storm that did not happen.", perSecond,
			q(legendBudget, recorded(recordBudgetDenied, chosen...))).alertsAbove(deniedHigh, "ResilienceBudgetDenies"),
		chart("Tokens that processes hold", "Retries that all processes together would grant now, and at most. Of a budget that replicas share "+
			"these are the few that they have fetched: the rest is in \"Tokens of all replicas\".", "none",
			q("tokens: "+legendBudget, sumBy(byBudget, r.series(telemetry.MetricBudgetTokens, chosen...))),
			q("capacity: "+legendBudget, sumBy(byBudget, r.series(telemetry.MetricBudgetCapacity, chosen...)))).half(),
		chart("Given back", "Granted retries that were never sent, such as those of calls that were cancelled while they waited.", perSecond,
			q(legendBudget, sumBy(byBudget, rateOver(r.series(telemetry.MetricBudgetRefunds, chosen...), grafanaSpan)))).half(),
	}
}

func sharedBudgetPanels(r *registry, chosen []matcher) []panel {
	mode, result := label(telemetry.AttrSharedBudgetMode), label(telemetry.AttrResult)
	return []panel{
		chart("Where it is decided", "Processes by mode. shared: by the budget of all. The others do not reach the store: "+
			"closed denies every retry, local leaves them to a budget of the process.", "none",
			q("{{resilience_shared_budget_mode}}: "+legendBudget, recorded(recordSharedBudgets, chosen...))).stacked().
			colored("^"+sharedMode+":", "green").colored("^"+localMode+":", "yellow").colored("^"+closedMode+":", "red").
			alertsAt("ResilienceBudgetNotShared"),
		chart("Exchanges with the store", "failure and timed_out are harmless one by one: a process leaves the mode shared "+
			"when none has succeeded for as long as a lease.", perSecond,
			q("{{resilience_result}}: "+legendBudget, sumBy(append([]string{result}, byBudget...),
				rateOver(r.series(telemetry.MetricSharedBudgetExchanges, chosen...), grafanaSpan)))).stacked().
			colored("^success:", "green").colored("^timed_out:", "yellow").colored("^failure:", "red").
			alertsAt("ResilienceBudgetNotShared"),
		chart("Tokens of all replicas", "What is left in the budget of all, beside the tokens that processes hold, and what it holds when full. "+
			"No line: no process reaches the store.", "none",
			q("tokens: "+legendBudget, minBy(byBudget, r.series(telemetry.MetricSharedBudgetTokens, chosen...))),
			q("capacity: "+legendBudget, maxBy(byBudget, r.series(telemetry.MetricSharedBudgetCapacity, chosen...)))).
			alertsAt("ResilienceBudgetDenies"),
		chart("Changes of mode", "Changes in five minutes, by the mode that processes came to. Many mean a store that comes and goes: no alert "+
			"fires then unless retries are denied.", "none",
			q("to {{resilience_shared_budget_mode}}: "+legendBudget,
				sumBy(append([]string{mode}, byBudget...), increase(r.series(telemetry.MetricSharedBudgetChanges, chosen...), window)))).half(),
		chart("Latency of exchanges", "99 % of the exchanges that succeeded took less than this. No call waits for them. Near the timeout, "+
			"500 ms by default, they begin to fail.", seconds,
			traced(legendBudget, quantile(0.99, byBudget, rateOver(r.buckets(telemetry.MetricSharedBudgetLatency, chosen...), grafanaSpan)))).half(),
	}
}

// guardPanels makes the panels of guards that the matchers choose.
type guardPanels struct {
	r      *registry
	chosen []matcher
}

// level shows a gauge: the highest of all processes.
func (g guardPanels) level(metric string) string {
	return maxBy(byPolicy, g.r.series(metric, g.chosen...))
}

// total shows a level whose sum over processes makes sense.
func (g guardPanels) total(metric string) string {
	return sumBy(byPolicy, g.r.series(metric, g.chosen...))
}

// results shows calls by what came of them.
func (g guardPanels) results(title, what, metric string) panel {
	return chart(title, what, perSecond, q(legendResult,
		sumBy(append([]string{label(telemetry.AttrResult)}, byPolicy...),
			rateOver(g.r.series(metric, g.chosen...), grafanaSpan)))).stacked()
}

// waits shows how long calls were made to wait. Its dots lead to traces.
func (g guardPanels) waits(title, metric string) panel {
	return chart(title, "99 % of the calls that were made to wait waited for less than this.", seconds,
		traced(legendPolicy, quantile(0.99, byPolicy, rateOver(g.r.buckets(metric, g.chosen...), grafanaSpan)))).empty(noWaits)
}

func (g guardPanels) breakers() []panel {
	in := func(state string) string {
		return g.r.series(telemetry.MetricBreakerState, slices.Concat(g.chosen, []matcher{is(telemetry.AttrBreakerState, state)})...)
	}
	worst := "\n  " + in("half_open") + "\n  or 2 * " + in("open") + "\n  or 3 * " + in("forced_open") + "\n"
	words := map[string]mappedWord{
		"0": {"closed", "green", 0}, "1": {"half open", "yellow", 1}, "2": {"open", "red", 2}, "3": {"forced open", "purple", 3},
	}
	return []panel{
		states("State", "The worst state of all processes. Closed lets calls pass (a disabled one shows as closed), open rejects them, "+
			"half open lets a few pass to see.", words, q(legendPolicy, maxBy(byPolicy, worst))).alertsAt("ResilienceBreakerOpen"),
		chart("Processes whose breaker is not closed", "Whether the callee fails for all or for some.", "none",
			q(legendPolicy, recorded(recordBreakersOpen, g.chosen...))).half().alertsAbove(1, "ResilienceBreakerOpen"),
		g.results("Calls by result", "failure and rejected are errors for the caller. Only rejected: the breaker is open.",
			telemetry.MetricBreakerCalls),
		chart("Failures in the window", "The highest failure ratio, and the highest share of slow calls, of all processes. "+
			"An open breaker shows 0.", share01,
			q("failed: "+legendPolicy, g.level(telemetry.MetricBreakerFailureRatio)),
			q("slow: "+legendPolicy, g.level(telemetry.MetricBreakerSlowRatio))),
		chart("Changes of state", "Changes in five minutes. Many mean that the callee bears the probes, but not the load.", "none",
			q("to {{resilience_breaker_state}}: "+legendPolicy,
				sumBy(append([]string{label(telemetry.AttrBreakerState)}, byPolicy...),
					increase(g.r.series(telemetry.MetricBreakerTransitions, g.chosen...), window)))).
			alertsAt("ResilienceBreakerFlapping"),
	}
}

func (g guardPanels) all() []panel {
	return []panel{
		chart("Rejected, by guard", "Share of the calls that a guard rejected.", share01,
			q(legendGuard, recorded(recordRejectedShare, g.chosen...))).half().
			alertsAbove(rejectedHigh, "ResilienceGuardRejects"),
		chart("Calls through guards", "Calls each second, also those that were rejected.", perSecond,
			q(legendGuard, recorded(recordGuardCalls, g.chosen...))).half(),
	}
}

func (g guardPanels) bulkheads() []panel {
	return []panel{
		chart("Calls that run, and the limit", "At the limit further calls wait or are rejected. Is the callee slow, or the limit low?", "none",
			q("running: "+legendPolicy, g.total(telemetry.MetricBulkheadInflight)),
			q("limit: "+legendPolicy, g.total(telemetry.MetricBulkheadLimit)),
			q("waiting: "+legendPolicy, g.total(telemetry.MetricBulkheadQueued))),
		g.results("Bulkheads: calls by result", "rejected: the bulkhead and its queue were full.", telemetry.MetricBulkheadCalls),
		g.waits("Bulkheads: waits", telemetry.MetricBulkheadWait),
	}
}

func (g guardPanels) rateLimits() []panel {
	return []panel{
		chart("Allowed rate", "Calls each second that one process may send in the long run.", perSecond,
			q(legendPolicy, g.level(telemetry.MetricRateLimitRate))),
		g.results("Rate limits: calls by result", "rejected: the rate was reached, and the call could not wait.", telemetry.MetricRateLimitCalls),
		g.waits("Rate limits: waits", telemetry.MetricRateLimitWait),
	}
}

func (g guardPanels) adaptive() []panel {
	return []panel{
		chart("Adaptive limit", "Calls each second that came back, and the limit that was learned from them. None: nothing was throttled yet.",
			perSecond,
			q("limit: "+legendPolicy, g.level(telemetry.MetricAdaptiveRate)),
			q("came back: "+legendPolicy, g.level(telemetry.MetricAdaptiveMeasured))),
		g.results("Adaptive limit: calls by result", "rejected: the learned rate was reached.", telemetry.MetricAdaptiveCalls),
		g.waits("Adaptive limit: waits", telemetry.MetricAdaptiveWait),
		chart("Throttle: probability of a rejection", "The share of calls that the client itself keeps from a callee that fails.", share01,
			q(legendPolicy, g.level(telemetry.MetricThrottleRatio))),
		g.results("Throttle: calls by result", "rejected: kept from the callee.", telemetry.MetricThrottleCalls),
		chart("Delays: factor and failure ratio", "By how much delays before retries are stretched, and the share of failures that it follows.",
			"none",
			q("factor: "+legendPolicy, g.level(telemetry.MetricDelaysFactor)),
			q("failed: "+legendPolicy, g.level(telemetry.MetricDelaysFailureRatio))),
	}
}

func (g guardPanels) others() []panel {
	return []panel{
		chart("Timed out", "Share of the calls that ran out of time.", share01, q(legendPolicy, recorded(recordTimedOut, g.chosen...))).
			alertsAbove(timedOutHigh, "ResilienceTimeouts"),
		g.results("Timeouts: calls by result", "completed is in time, with or without success.", telemetry.MetricTimeoutCalls),
		chart("Answered by a fallback", "Share of the answers that are not the right ones.", share01,
			q(legendPolicy, recorded(recordFallbackShare, g.chosen...))).alertsAbove(fallbacksHigh, "ResilienceFallbacks"),
		g.results("Hedges: calls by result", "hedge: a later copy won.", telemetry.MetricHedgeCalls),
		g.results("Hedges: further copies", "Those that were sent are the extra load on the callee.", telemetry.MetricHedgeCopies),
		chart("Hedges: delay before a copy", "A call that takes longer than this gets a second copy.", seconds,
			q(legendPolicy, g.level(telemetry.MetricHedgeDelay))),
		g.results("Fallbacks: calls by result", "failed: the alternative failed too.", telemetry.MetricFallbackCalls).half(),
		chart("Wrong compositions", "Policies in an order that is known to be wrong. Nobody should see one.", "none",
			q("{{resilience_composition_reason}}: "+legendPolicy,
				sumBy(byComposition, g.r.series(telemetry.MetricCompositionWarnings, g.chosen...)))).
			half().empty("none").alertsAbove(1, "ResilienceCompositionWrong"),
	}
}
