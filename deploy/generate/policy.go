package main

import (
	"slices"

	"github.com/observable-go/toolkit/resilience/telemetry"
)

// policyBoard shows one policy.
func policyBoard(r *registry) dashboard {
	one := []matcher{exactly("job", "job"), exactly(label(telemetry.AttrPolicyName), "policy")}
	calls := r.series(telemetry.MetricRetryCalls)
	return newDashboard("policy", uidPolicy, "Resilience: one policy",
		"How the calls of one policy end, what fails, and how long it takes. The dots in charts of latency lead to traces.",
		[]variable{
			datasourceVariable(), jobVariable(calls, false),
			labelVariable("policy", "Policy", "label_values("+
				r.series(telemetry.MetricRetryCalls, exactly("job", "job"))+", "+label(telemetry.AttrPolicyName)+")", false),
		},
		[]section{
			{"The five figures", figuresOf(one)},
			{"How calls end", endings(r, one)},
			{"How long calls take", latencies(r, one)},
			{"What retries cost", costs(r, one)},
		})
}

func figuresOf(one []matcher) []panel {
	figure := func(record string) string { return recorded(record, one...) }
	return []panel{
		stat("Retry rate", "Share of the calls that were retried.", share01, figure(recordRetryRate)).
			alertsAbove(retryRateHigh, "ResilienceRetryRateHigh"),
		stat("Success after retry", "Share of the calls that a retry saved.", share01, figure(recordSaved)),
		stat("Exhausted", "Calls each second that failed in their last attempt.", perSecond, figure(recordExhausted)),
		stat("Retries a call", "Retries divided by calls.", attemptsU, figure(recordRetriesPerCall)),
		stat("Retry latency", "Seconds that calls spend on retries, each second.", seconds, figure(recordRetryLatency)),
		stat("Given up", "Share of the calls that ended without success. The callers got errors.", share01, figure(recordGivenUp)).
			alertsAbove(givenUpHigh, "ResilienceCallsGivenUp"),
	}
}

func endings(r *registry, one []matcher) []panel {
	failed := slices.Concat(one, []matcher{not(telemetry.AttrErrorType, "")})
	outcome, attempt, kind := label(telemetry.AttrOutcome), label(telemetry.AttrAttemptOutcome), label(telemetry.AttrErrorType)
	by := func(metric string, matchers []matcher, labels ...string) string {
		return sumBy(labels, rateOver(r.series(metric, matchers...), grafanaSpan))
	}
	return []panel{
		chart("Calls by outcome", "How calls end. All but success and success_after_retry are errors for the caller.", perSecond,
			q("{{resilience_outcome}}", by(telemetry.MetricRetryCalls, one, outcome))).stacked().empty(noCalls).
			alertsAt("ResiliencePanics").alertsAt("ResilienceNothingSucceeds"),
		chart("Failed calls by error type", "What the callers got, and why the policy gave up.", perSecond,
			q("{{error_type}} ({{resilience_outcome}})", by(telemetry.MetricRetryCalls, failed, kind, outcome))).stacked(),
		chart("Calls given up", "Share of the calls that were given up. \"not successful\" are all that failed, "+
			"permanent errors and cancelled calls too.", share01,
			q("given up", recorded(recordGivenUp, one...)),
			q("exhausted", recorded(recordExhaustedShare, one...)),
			q("not successful", recorded(recordFailed, one...)),
			q("unclassified", recorded(recordUnclassified, one...))).alertsAbove(givenUpHigh, "ResilienceCallsGivenUp").
			alertsAt("ResilienceRetriesExhausted").alertsAt("ResilienceErrorsUnclassified"),
		chart("Attempts", "Attempts by how they ended. The gap to the calls is the load that retries add.", perSecond,
			q("{{resilience_attempt_outcome}}", by(telemetry.MetricRetryAttempts, one, attempt))).stacked().empty(noCalls),
		chart("Failed attempts by error type", "What goes wrong at the callee, or at a guard in front of it (such as breaker_open).", perSecond,
			q("{{error_type}}", by(telemetry.MetricRetryAttempts, failed, kind))).stacked(),
		chart("Amplification", "Attempts that reach the callee for one call. 1 is no retries; below 1 a guard keeps calls away.", attemptsU,
			q("attempts a call", recorded(recordAmplification, one...))).empty(noCalls).alertsAbove(amplificationHigh, "ResilienceAmplification"),
	}
}

func latencies(r *registry, one []matcher) []panel {
	buckets := rateOver(r.buckets(telemetry.MetricCallDuration, one...), grafanaSpan)
	return []panel{
		heatmap("Call duration", "Whole calls with all attempts and waits. Darker is more calls; a dot is one call: click it to see its trace.",
			buckets).empty(noCalls),
		chart("Call duration, quantiles", "Half, 95 % and 99 % of the calls are faster than these lines. A dot is one call with its trace.",
			seconds,
			traced("50 %", quantile(0.5, nil, buckets)),
			traced("95 %", quantile(0.95, nil, buckets)),
			traced("99 %", quantile(0.99, nil, buckets))).half().empty(noCalls),
		chart("Call duration by outcome, 95 %", "Which calls are the slow ones: those that succeed, or those that fail?", seconds,
			traced("{{resilience_outcome}}", quantile(0.95, []string{label(telemetry.AttrOutcome)}, buckets))).half().empty(noCalls),
		chart("Retried calls, 95 %", "What retries add to a call that is retried: from the end of its first attempt to its end.", seconds,
			traced("{{resilience_outcome}}", quantile(0.95, []string{label(telemetry.AttrOutcome)},
				rateOver(r.buckets(telemetry.MetricRetryLatency, one...), grafanaSpan)))).half(),
	}
}

func costs(r *registry, one []matcher) []panel {
	delays := rateOver(r.buckets(telemetry.MetricRetryDelay, one...), grafanaSpan)
	return []panel{
		chart("Delays before retries", "How long calls wait before a retry. A jump: the callee asks for it, or delays are stretched.",
			seconds,
			traced("50 %", quantile(0.5, nil, delays)),
			traced("99 %", quantile(0.99, nil, delays))),
		chart("Retries", "Retries that were sent, each second.", perSecond,
			q("retries", sumBy(nil, rateOver(r.count(telemetry.MetricRetryDelay, one...), grafanaSpan)))),
		chart("Retry latency, one retried call", "What a retry costs the user who waits for it, on average.", seconds,
			q("mean", recorded(recordLatencyPerRetried, one...))),
	}
}
