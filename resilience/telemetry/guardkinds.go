package telemetry

import "go.opentelemetry.io/otel/attribute"

// A guardKind is what all guards of one kind emit as metrics: the table of this file.
type guardKind uint8

const (
	kindBreaker guardKind = iota
	kindBulkhead
	kindRateLimit
	kindAdaptive
	kindThrottle
	kindDelays
	kindTimeout
	kindHedge
	kindFallback
	kindSharedBudget // no guard, but counted as one
	kindComposition  // no guard either

	numKinds
)

// A Result says what a guard did with a call, or what came of it.
type Result uint8

const (
	// ResultSuccess: the call counts in favour of the callee.
	ResultSuccess Result = iota
	// ResultFailure: the call counts against the callee.
	ResultFailure
	// ResultIgnored: the call says nothing about the callee.
	ResultIgnored
	// ResultAdmitted: the guard let the call through.
	ResultAdmitted
	// ResultRejected: the guard rejected the call.
	ResultRejected
	// ResultCanceled: the caller's context ended while the guard made the call wait.
	ResultCanceled
	// ResultCompleted: the operation returned in time.
	ResultCompleted
	// ResultTimedOut: the operation failed after its time had passed.
	ResultTimedOut
	// ResultPrimary: the result is that of the operation's first copy.
	ResultPrimary
	// ResultHedge: the result is that of a later copy.
	ResultHedge
	// ResultFallback: the result is that of the alternative.
	ResultFallback
	// ResultPassed: the operation's failure was handed on.
	ResultPassed
	// ResultFailed: everything that was tried failed.
	ResultFailed
	// ResultPanic: the operation panicked or left its goroutine.
	ResultPanic

	numResults
)

var resultNames = [numResults]string{
	ResultSuccess:   "success",
	ResultFailure:   "failure",
	ResultIgnored:   "ignored",
	ResultAdmitted:  "admitted",
	ResultRejected:  "rejected",
	ResultCanceled:  "canceled",
	ResultCompleted: "completed",
	ResultTimedOut:  "timed_out",
	ResultPrimary:   "primary",
	ResultHedge:     "hedge",
	ResultFallback:  "fallback",
	ResultPassed:    "passed",
	ResultFailed:    "failed",
	ResultPanic:     "panic",
}

// String returns the result as it stands in attributes.
func (r Result) String() string {
	if r < numResults {
		return resultNames[r]
	}
	return Other
}

// guardMetrics is a row of the table.
type guardMetrics struct {
	name  string        // of the kind, as in attributes
	what  string        // the kind in words, for descriptions
	named attribute.Key // what bears the name, if not a policy
	// results are what the counter tells apart.
	calls   counterMetric // its name is "" if calls are not counted
	results []Result
	// events are counted besides.
	events eventMetric
	// levels are read whenever metrics are collected.
	levels []levelMetric
	times  timesMetric // its name is "" if the kind makes no call wait
}

// nameKey is the attribute that bears the names of the kind.
func (m *guardMetrics) nameKey() attribute.Key {
	if m.named != "" {
		return m.named
	}
	return AttrPolicyName
}

// A counterMetric is a counter: of calls through the guard, unless it says something else.
type counterMetric struct{ name, unit, description string }

// counter is the counter of the kind.
func (m *guardMetrics) counter() counterMetric {
	if m.calls.unit != "" {
		return m.calls
	}
	return counterMetric{m.calls.name, "{call}", "Calls through " + m.what + " by result."}
}

// A timesMetric is a histogram of seconds: of waits in the guard, unless it says something else.
type timesMetric struct{ name, description string }

// histogram is the histogram of the kind.
func (m *guardMetrics) histogram() timesMetric {
	if m.times.description != "" {
		return m.times
	}
	return timesMetric{m.times.name, "Waits of calls that " + m.what + " made wait and then let through."}
}

// An eventMetric is a counter of what is no call, with a series for each value of an
// attribute.
type eventMetric struct {
	name, unit, description string
	by                      attribute.Key
	values                  []string
}

// A levelMetric is a gauge, or an up-down counter where the sum over several is meant to
// make sense. It has a series for each value of an attribute, or a single one.
type levelMetric struct {
	name, unit, description string
	sums                    bool
	by                      attribute.Key
	values                  []string
}

// Values of the events of a hedge.
const (
	copySent     = "sent"
	copyDenied   = "denied"
	copyPanicked = "panicked"
)

// Modes of a shared budget.
var sharedBudgetModes = []string{"shared", "local", "closed"}

var breakerStates = []string{"closed", "open", "half_open", "forced_open", "disabled"}

var guardTable = [numKinds]guardMetrics{
	kindBreaker: {
		name: "breaker", what: "a circuit breaker", calls: counterMetric{name: MetricBreakerCalls},
		results: []Result{ResultSuccess, ResultFailure, ResultIgnored, ResultRejected},
		events: eventMetric{
			MetricBreakerTransitions, "{transition}", "Changes of a breaker's state by the state that it came to.",
			AttrBreakerState, breakerStates,
		},
		levels: []levelMetric{
			{MetricBreakerState, "{breaker}", "1 for the state that the breaker is in, 0 for the others.", true, AttrBreakerState, breakerStates},
			{MetricBreakerFailureRatio, "1", "Share of failures among the calls of the breaker's window.", false, "", nil},
			{MetricBreakerSlowRatio, "1", "Share of slow calls among the calls of the breaker's window.", false, "", nil},
		},
	},
	kindBulkhead: {
		name: "bulkhead", what: "a bulkhead",
		calls: counterMetric{name: MetricBulkheadCalls}, results: admission, times: timesMetric{name: MetricBulkheadWait},
		levels: []levelMetric{
			{MetricBulkheadLimit, "{call}", "Calls that the bulkhead lets run at a time.", true, "", nil},
			{MetricBulkheadInflight, "{call}", "Calls that run.", true, "", nil},
			{MetricBulkheadQueued, "{call}", "Calls that wait in the bulkhead's queue.", true, "", nil},
		},
	},
	kindRateLimit: {
		name: "ratelimit", what: "a rate limit",
		calls: counterMetric{name: MetricRateLimitCalls}, results: admission, times: timesMetric{name: MetricRateLimitWait},
		levels: []levelMetric{{MetricRateLimitRate, "{call}/s", "Calls that the limit allows in the long run.", false, "", nil}},
	},
	kindAdaptive: {
		name: "adaptive", what: "an adaptive rate limit",
		calls: counterMetric{name: MetricAdaptiveCalls}, results: admission, times: timesMetric{name: MetricAdaptiveWait},
		levels: []levelMetric{
			{MetricAdaptiveRate, "{call}/s", "Calls that the adaptive limit allows, while there is one.", false, "", nil},
			{MetricAdaptiveMeasured, "{call}/s", "Calls that came back, smoothed.", false, "", nil},
		},
	},
	kindThrottle: {
		name: "throttle", what: "a throttle",
		calls: counterMetric{name: MetricThrottleCalls}, results: []Result{ResultAdmitted, ResultRejected},
		levels: []levelMetric{{MetricThrottleRatio, "1", "Probability with which the throttle rejects a call.", false, "", nil}},
	},
	kindDelays: {
		name: "delays",
		levels: []levelMetric{
			{MetricDelaysFactor, "1", "Factor by which the delays before retries are stretched.", false, "", nil},
			{MetricDelaysFailureRatio, "1", "Estimate of the share of attempts that fail.", false, "", nil},
		},
	},
	kindTimeout: {
		name: "timeout", what: "a timeout",
		calls: counterMetric{name: MetricTimeoutCalls}, results: []Result{ResultCompleted, ResultTimedOut, ResultPanic},
	},
	kindHedge: {
		name: "hedge", what: "a hedge", calls: counterMetric{name: MetricHedgeCalls},
		results: []Result{ResultPrimary, ResultHedge, ResultFailed, ResultCanceled, ResultPanic},
		events: eventMetric{
			MetricHedgeCopies, "{copy}", "Copies beyond the first that were due, and copies that panicked after their call had ended.",
			AttrResult, []string{copySent, copyDenied, copyPanicked},
		},
		levels: []levelMetric{{MetricHedgeDelay, "s", "Delay before the next copy is sent.", false, "", nil}},
	},
	kindFallback: {
		name: "fallback", what: "a fallback", calls: counterMetric{name: MetricFallbackCalls},
		results: []Result{ResultPrimary, ResultPassed, ResultFallback, ResultFailed, ResultPanic},
	},
	kindSharedBudget: {
		name: "shared_budget", named: AttrBudgetName,
		calls:   counterMetric{MetricSharedBudgetExchanges, "{exchange}", "Exchanges of a shared retry budget by result."},
		results: []Result{ResultSuccess, ResultFailure, ResultTimedOut},
		events: eventMetric{
			MetricSharedBudgetChanges, "{change}", "Changes of where a shared retry budget decides by the mode that it came to.",
			AttrSharedBudgetMode, sharedBudgetModes,
		},
		levels: []levelMetric{
			{
				MetricSharedBudgetMode, "{budget}", "1 for the mode that the shared retry budget is in, 0 for the others.",
				true, AttrSharedBudgetMode, sharedBudgetModes,
			},
			{MetricSharedBudgetTokens, "{token}", "Retries that the budget of all replicas held at the latest exchange.", false, "", nil},
			{MetricSharedBudgetCapacity, "{token}", "Retries that the budget of all replicas holds when full.", false, "", nil},
		},
		times: timesMetric{MetricSharedBudgetLatency, "Latencies of exchanges of a shared retry budget that succeeded."},
	},
	kindComposition: {
		name: "composition",
		events: eventMetric{
			MetricCompositionWarnings, "{warning}", "Compositions of policies that are known to be wrong, once each.",
			AttrCompositionReason, []string{"nested_retries", "breaker_outside_retry", "timeout_too_short"}, // of package resilience
		},
	},
}

var admission = []Result{ResultAdmitted, ResultRejected, ResultCanceled}
