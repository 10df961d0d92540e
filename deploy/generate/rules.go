package main

import "github.com/observable-go/toolkit/resilience/telemetry"

// A rule is a recording rule.
type rule struct {
	what   string // for the reader of the file
	record string
	guard  string // the label guard, if the rule is for one kind of guard
	expr   string
}

// A ruleGroup is evaluated in its order, so that a rule may build on one above it.
type ruleGroup struct {
	name  string
	rules []rule
}

// Names of the recording rules. Those of docs/telemetry.md are part of what users build on.
const (
	recordCalls             = "resilience:calls:rate5m"
	recordRetryRate         = "resilience:retry_rate:ratio5m"
	recordSaved             = "resilience:success_after_retry:ratio5m"
	recordExhausted         = "resilience:exhausted:rate5m"
	recordRetriesPerCall    = "resilience:retries_per_call:ratio5m"
	recordRetryLatency      = "resilience:retry_latency_seconds:rate5m"
	recordLatencyPerRetried = "resilience:retry_latency_seconds_per_retried_call:mean5m"
	recordExhaustedShare    = "resilience:exhausted:ratio5m"
	recordGivenUp           = "resilience:given_up:ratio5m"
	recordFailed            = "resilience:failed:ratio5m"
	recordUnclassified      = "resilience:unclassified:ratio5m"
	recordAmplification     = "resilience:amplification:ratio5m"
	recordBudgetLevel       = "resilience:budget_level:ratio"
	recordBudgetDenied      = "resilience:budget_denied:rate5m"
	recordSharedBudgets     = "resilience:shared_budget_processes:sum"
	recordGuardCalls        = "resilience:guard_calls:rate5m"
	recordRejected          = "resilience:rejected:rate5m"
	recordRejectedShare     = "resilience:rejected:ratio5m"
	recordBreakersOpen      = "resilience:breakers_open:sum"
	recordTimedOut          = "resilience:timed_out:ratio5m"
	recordFallbacks         = "resilience:fallbacks:rate5m"
	recordFallbackShare     = "resilience:fallbacks:ratio5m"
)

// guardLabel tells the kinds of guards apart in recording rules: their policies may have the same names.
const guardLabel = "guard"

// guardCalls are the kinds of guards by the counters of their calls. The first of them reject calls.
var guardCalls = []struct {
	kind, metric string
	rejects      bool
}{
	{"breaker", telemetry.MetricBreakerCalls, true},
	{"bulkhead", telemetry.MetricBulkheadCalls, true},
	{"ratelimit", telemetry.MetricRateLimitCalls, true},
	{"adaptive", telemetry.MetricAdaptiveCalls, true},
	{"throttle", telemetry.MetricThrottleCalls, true},
	{"timeout", telemetry.MetricTimeoutCalls, false},
	{"hedge", telemetry.MetricHedgeCalls, false},
	{"fallback", telemetry.MetricFallbackCalls, false},
}

// refusals are the error types of attempts that a guard inside of the retry rejected: they did not
// reach the callee.
var refusals = []string{"breaker_open", "bulkhead_full", "rate_limited", "adaptive_rate", "throttled_locally"}

// givenUp are the outcomes of calls that failed although the policy, or the one who made it, had
// meant them to succeed. Permanent errors and calls that the caller cancelled are not among them.
var givenUp = []string{
	telemetry.OutcomeExhausted.String(), telemetry.OutcomeBudgetExhausted.String(), telemetry.OutcomeDeadline.String(),
	telemetry.OutcomeRefused.String(), telemetry.OutcomePanic.String(),
}

// notFailed are the outcomes of calls that succeeded, and of those that never began.
var notFailed = []string{
	telemetry.OutcomeSuccess.String(), telemetry.OutcomeSuccessAfterRetry.String(), telemetry.OutcomeNotStarted.String(),
}

// stuck are the states of breakers that do not let calls pass.
var stuck = []string{"open", "half_open", "forced_open"}

// Modes of a budget that replicas share.
const (
	sharedMode = "shared"
	localMode  = "local"
	closedMode = "closed"
)

// ruleGroups returns the recording rules. No group builds on another, as Prometheus evaluates them side by side.
func ruleGroups(r *registry) []ruleGroup {
	return []ruleGroup{{"resilience", policyRules(r)}, {"resilience-guards", guardRules(r)}}
}

func policyRules(r *registry) []rule {
	perCall := func(part string) string { return ratio(sumBy(byPolicy, rate(part)), recordCalls) }
	ended := func(outcomes ...string) string {
		return r.series(telemetry.MetricRetryCalls, is(telemetry.AttrOutcome, outcomes...))
	}
	began := r.series(telemetry.MetricRetryCalls, not(telemetry.AttrOutcome, telemetry.OutcomeNotStarted.String()))
	retried := r.count(telemetry.MetricRetryLatency)
	exhausted := ended(telemetry.OutcomeExhausted.String())
	return []rule{
		{what: "Calls that began, each second. The base of the ratios below.",
			record: recordCalls, expr: sumBy(byPolicy, rate(began))},
		{what: "1. Retry rate: the share of calls that were retried.",
			record: recordRetryRate, expr: perCall(retried)},
		{what: "2. Success after retry: the share of calls that a retry saved.",
			record: recordSaved, expr: perCall(ended(telemetry.OutcomeSuccessAfterRetry.String()))},
		{what: "3. Exhausted retries: calls each second whose last attempt failed.",
			record: recordExhausted, expr: sumBy(byPolicy, rate(exhausted))},
		{what: "4. Average retry count: retries a call.",
			record: recordRetriesPerCall, expr: perCall(r.count(telemetry.MetricRetryDelay))},
		{what: "5. Total retry latency: seconds that calls spend on retries, each second.",
			record: recordRetryLatency, expr: sumBy(byPolicy, rate(r.sum(telemetry.MetricRetryLatency)))},
		{what: "The same for one retried call.",
			record: recordLatencyPerRetried, expr: ratio(recordRetryLatency, sumBy(byPolicy, rate(retried)))},

		{what: "The share of calls whose last attempt failed.",
			record: recordExhaustedShare, expr: perCall(exhausted)},
		{what: "The share of calls that were given up: attempts, budget or time used up, refused by a guard, or a panic.",
			record: recordGivenUp, expr: perCall(ended(givenUp...))},
		{what: "The share of calls that did not succeed, for whatever reason.",
			record: recordFailed, expr: perCall(r.series(telemetry.MetricRetryCalls, not(telemetry.AttrOutcome, notFailed...)))},
		{what: "The share of calls that ended with an error that nobody classified, which is not retried.",
			record: recordUnclassified, expr: perCall(ended(telemetry.OutcomeUnclassified.String()))},
		{what: "Amplification: attempts that reach the callee for one call. What a guard rejects does not reach it.",
			record: recordAmplification,
			expr:   perCall(r.series(telemetry.MetricRetryAttempts, not(telemetry.AttrErrorType, refusals...)))},
	}
}

func guardRules(r *registry) []rule {
	result := func(metric, value string) string { return r.series(metric, is(telemetry.AttrResult, value)) }
	var all []rule
	for i, g := range guardCalls {
		what := ""
		if i == 0 {
			what = "Calls through a guard, each second. One rule a kind, as their policies may have the same names."
		}
		all = append(all, rule{what, recordGuardCalls, g.kind, sumBy(byPolicy, rate(r.series(g.metric)))})
	}
	for i, g := range guardCalls {
		what := ""
		if i == 0 {
			what = "Calls that a guard rejected, each second."
		}
		if g.rejects {
			all = append(all, rule{what, recordRejected, g.kind,
				sumBy(byPolicy, rate(result(g.metric, telemetry.ResultRejected.String())))})
		}
	}
	timedOut := result(telemetry.MetricTimeoutCalls, telemetry.ResultTimedOut.String())
	fallbacks := sumBy(byPolicy, rate(result(telemetry.MetricFallbackCalls, telemetry.ResultFallback.String())))
	return append(all,
		rule{what: "The share of calls that a guard rejected.",
			record: recordRejectedShare, expr: ratio(recordRejected, recordGuardCalls)},
		rule{what: "Breakers that are not closed, in how many processes.",
			record: recordBreakersOpen,
			expr:   sumBy(byPolicy, r.series(telemetry.MetricBreakerState, is(telemetry.AttrBreakerState, stuck...)))},
		rule{what: "The share of calls that ended in a timeout.",
			record: recordTimedOut,
			expr:   ratio(sumBy(byPolicy, rate(timedOut)), sumBy(byPolicy, rate(r.series(telemetry.MetricTimeoutCalls))))},
		rule{what: "Calls that were answered by a fallback, each second.", record: recordFallbacks, expr: fallbacks},
		rule{what: "The share of calls that were answered by a fallback.",
			record: recordFallbackShare,
			expr:   ratio(recordFallbacks, sumBy(byPolicy, rate(r.series(telemetry.MetricFallbackCalls))))},
		rule{what: "What is left of a budget, of its emptiest process: 1 is full. Of one that replicas share it is what all have left,\n" +
			"as a process holds but a few tokens itself. Where the process does not reach the store, its own are all that it has.",
			record: recordBudgetLevel, expr: minBy(byBudget, budgetLevel(r))},
		rule{what: "Retries that a budget denied, each second.",
			record: recordBudgetDenied,
			expr:   sumBy(byBudget, rate(r.series(telemetry.MetricBudgetWithdrawals, is(telemetry.AttrBudgetResult, "denied"))))},
		rule{what: "Processes that share a budget, by where it decides. One that has sent nothing for two minutes is gone, and does not count.",
			record: recordSharedBudgets,
			expr:   sumBy(byBudgetMode, lastOver(r.series(telemetry.MetricSharedBudgetMode), sentWithin))},
	)
}

// sentWithin is two times the SDK's default interval of exports.
const sentWithin = "2m"

// budgetLevel is the share of each process's budget that is left. The mode decides which tokens count,
// as those that a process saw in the budget of all are still there for five minutes after it has lost it.
func budgetLevel(r *registry) string {
	const mode = telemetry.AttrSharedBudgetMode
	level := func(tokens, capacity string) string { return "\n  " + r.series(tokens) + " / " + r.series(capacity) }
	return level(telemetry.MetricSharedBudgetTokens, telemetry.MetricSharedBudgetCapacity) +
		"\n    and ignoring (" + label(mode) + ") " + r.series(telemetry.MetricSharedBudgetMode, is(mode, sharedMode)) + " == 1" +
		"\n  or" + level(telemetry.MetricBudgetTokens, telemetry.MetricBudgetCapacity) + "\n"
}
