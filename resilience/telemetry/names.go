package telemetry

import "go.opentelemetry.io/otel/attribute"

// ScopeName is the instrumentation scope of everything that this toolkit emits.
const ScopeName = "github.com/observable-go/toolkit/resilience"

// Metrics.
const (
	MetricRetryCalls        = "resilience.retry.calls"
	MetricRetryAttempts     = "resilience.retry.attempts"
	MetricRetryLatency      = "resilience.retry.latency"
	MetricRetryDelay        = "resilience.retry.delay"
	MetricCallDuration      = "resilience.call.duration"
	MetricBudgetTokens      = "resilience.budget.tokens"
	MetricBudgetCapacity    = "resilience.budget.capacity"
	MetricBudgetWithdrawals = "resilience.budget.withdrawals"
	MetricBudgetRefunds     = "resilience.budget.refunds"

	MetricSharedBudgetExchanges = "resilience.shared_budget.exchanges"
	MetricSharedBudgetLatency   = "resilience.shared_budget.latency"
	MetricSharedBudgetMode      = "resilience.shared_budget.mode"
	MetricSharedBudgetChanges   = "resilience.shared_budget.changes"
	MetricSharedBudgetTokens    = "resilience.shared_budget.tokens"
	MetricSharedBudgetCapacity  = "resilience.shared_budget.capacity"

	MetricBreakerCalls        = "resilience.breaker.calls"
	MetricBreakerTransitions  = "resilience.breaker.transitions"
	MetricBreakerState        = "resilience.breaker.state"
	MetricBreakerFailureRatio = "resilience.breaker.failure_ratio"
	MetricBreakerSlowRatio    = "resilience.breaker.slow_ratio"
	MetricBulkheadCalls       = "resilience.bulkhead.calls"
	MetricBulkheadWait        = "resilience.bulkhead.wait"
	MetricBulkheadLimit       = "resilience.bulkhead.limit"
	MetricBulkheadInflight    = "resilience.bulkhead.inflight"
	MetricBulkheadQueued      = "resilience.bulkhead.queued"
	MetricRateLimitCalls      = "resilience.ratelimit.calls"
	MetricRateLimitWait       = "resilience.ratelimit.wait"
	MetricRateLimitRate       = "resilience.ratelimit.rate"
	MetricAdaptiveCalls       = "resilience.adaptive.calls"
	MetricAdaptiveWait        = "resilience.adaptive.wait"
	MetricAdaptiveRate        = "resilience.adaptive.rate"
	MetricAdaptiveMeasured    = "resilience.adaptive.measured_rate"
	MetricThrottleCalls       = "resilience.throttle.calls"
	MetricThrottleRatio       = "resilience.throttle.rejection_ratio"
	MetricDelaysFactor        = "resilience.delays.factor"
	MetricDelaysFailureRatio  = "resilience.delays.failure_ratio"
	MetricTimeoutCalls        = "resilience.timeout.calls"
	MetricHedgeCalls          = "resilience.hedge.calls"
	MetricHedgeCopies         = "resilience.hedge.copies"
	MetricHedgeDelay          = "resilience.hedge.delay"
	MetricFallbackCalls       = "resilience.fallback.calls"

	MetricCompositionWarnings = "resilience.composition.warnings"
)

// Span events, and log events of the same names.
const (
	EventAttemptSucceeded = "resilience.attempt.succeeded"
	EventAttemptFailed    = "resilience.attempt.failed"
	EventRetryScheduled   = "resilience.retry.scheduled"
	EventRetrySucceeded   = "resilience.retry.succeeded"
	EventRetryExhausted   = "resilience.retry.exhausted"
	EventRetryStopped     = "resilience.retry.stopped"

	EventCallRejected        = "resilience.call.rejected"
	EventCallWaited          = "resilience.call.waited"
	EventBreakerStateChanged = "resilience.breaker.state_changed"
	EventTimeoutExceeded     = "resilience.timeout.exceeded"
	EventHedgeSent           = "resilience.hedge.sent"
	EventHedgeDenied         = "resilience.hedge.denied"
	EventHedgeWon            = "resilience.hedge.won"
	EventHedgePanicked       = "resilience.hedge.panicked"
	EventFallbackUsed        = "resilience.fallback.used"
	EventFallbackFailed      = "resilience.fallback.failed"
	EventSharedBudgetMode    = "resilience.shared_budget.mode_changed"
	EventCompositionWarning  = "resilience.composition.warning"
)

// Attributes.
const (
	AttrPolicyName     = attribute.Key("resilience.policy.name")
	AttrOutcome        = attribute.Key("resilience.outcome")
	AttrAttemptOutcome = attribute.Key("resilience.attempt.outcome")
	AttrErrorType      = attribute.Key("error.type")
	AttrErrorMessage   = attribute.Key("error.message")
	AttrAttemptNumber  = attribute.Key("resilience.attempt.number")
	AttrAttemptMax     = attribute.Key("resilience.attempt.max")
	AttrAttempts       = attribute.Key("resilience.attempts")
	AttrRetryDelay     = attribute.Key("resilience.retry.delay")
	AttrRetryReason    = attribute.Key("resilience.retry.reason")
	AttrPushback       = attribute.Key("resilience.retry.pushback")
	AttrNested         = attribute.Key("resilience.retry.nested")
	AttrBudgetName     = attribute.Key("resilience.budget.name")
	AttrBudgetResult   = attribute.Key("resilience.budget.result")

	AttrPolicyKind        = attribute.Key("resilience.policy.kind")
	AttrResult            = attribute.Key("resilience.result")
	AttrRejectionReason   = attribute.Key("resilience.rejection.reason")
	AttrRetryAfter        = attribute.Key("resilience.rejection.retry_after")
	AttrWait              = attribute.Key("resilience.wait")
	AttrBreakerState      = attribute.Key("resilience.breaker.state")
	AttrBreakerPrevious   = attribute.Key("resilience.breaker.previous_state")
	AttrBreakerReason     = attribute.Key("resilience.breaker.reason")
	AttrBreakerCalls      = attribute.Key("resilience.breaker.window.calls")
	AttrBreakerFailures   = attribute.Key("resilience.breaker.window.failures")
	AttrBreakerSlow       = attribute.Key("resilience.breaker.window.slow")
	AttrBreakerOpenFor    = attribute.Key("resilience.breaker.open_for")
	AttrTimeoutLimit      = attribute.Key("resilience.timeout.limit")
	AttrHedgeCopy         = attribute.Key("resilience.hedge.copy")
	AttrHedgeDelay        = attribute.Key("resilience.hedge.delay")
	AttrSharedBudgetMode  = attribute.Key("resilience.shared_budget.mode")
	AttrSharedBudgetFrom  = attribute.Key("resilience.shared_budget.previous_mode")
	AttrCompositionReason = attribute.Key("resilience.composition.reason")
	AttrCompositionDetail = attribute.Key("resilience.composition.detail")
)

// Other is the policy or budget name, or the error type, of what is beyond the number
// that telemetry keeps apart: see [MaxNames] and [MaxErrorTypes].
const Other = "_OTHER"

// Bounds on the cardinality of metrics.
const (
	// MaxNames is how many names of policies, and how many of budgets, each meter
	// provider keeps apart: few enough for an SDK that keeps 2000 series a metric.
	MaxNames = 200
	// MaxErrorTypes is how many error types each policy name keeps apart.
	MaxErrorTypes = 32
	// MaxMessage is how many bytes of an error's text are shown.
	MaxMessage = 256
)

// ReasonRemoteRetries is the reason of a call that left its retries to the layer above, which
// repeats the request that is being served.
const ReasonRemoteRetries = "remote_retries"

// An Outcome says how a call of a retry policy ended.
type Outcome uint8

const (
	// OutcomeSuccess: the first attempt succeeded.
	OutcomeSuccess Outcome = iota
	// OutcomeSuccessAfterRetry: a later attempt succeeded.
	OutcomeSuccessAfterRetry
	// OutcomeExhausted: the last attempt that the policy allows failed.
	OutcomeExhausted
	// OutcomeNotRetryable: an attempt failed with a permanent error.
	OutcomeNotRetryable
	// OutcomeUnclassified: an attempt failed with an error that nobody classified.
	OutcomeUnclassified
	// OutcomeBudgetExhausted: the budget denied the retry.
	OutcomeBudgetExhausted
	// OutcomeDeadline: the time that was left was too short for a retry, or the callee
	// asked for a longer wait than is allowed.
	OutcomeDeadline
	// OutcomeCanceled: the caller cancelled the call.
	OutcomeCanceled
	// OutcomeRefused: another policy refused, or the caller forbade retries.
	OutcomeRefused
	// OutcomePanic: the operation panicked or left its goroutine.
	OutcomePanic
	// OutcomeNotStarted: the context was done before the first attempt.
	OutcomeNotStarted

	numOutcomes
)

var outcomeNames = [numOutcomes]string{
	OutcomeSuccess:           "success",
	OutcomeSuccessAfterRetry: "success_after_retry",
	OutcomeExhausted:         "exhausted",
	OutcomeNotRetryable:      "not_retryable",
	OutcomeUnclassified:      "unclassified",
	OutcomeBudgetExhausted:   "budget_exhausted",
	OutcomeDeadline:          "deadline",
	OutcomeCanceled:          "canceled",
	OutcomeRefused:           "refused",
	OutcomePanic:             "panic",
	OutcomeNotStarted:        "not_started",
}

// String returns the outcome as it stands in attributes.
func (o Outcome) String() string {
	if o < numOutcomes {
		return outcomeNames[o]
	}
	return Other
}

// Outcomes returns every outcome, in the order of their declaration.
func Outcomes() []Outcome {
	all := make([]Outcome, numOutcomes)
	for i := range all {
		all[i] = Outcome(i)
	}
	return all
}

// Outcomes of single attempts.
const (
	attemptSuccess = "success"
	attemptFailure = "failure"
	attemptPanic   = "panic"
)

// Results of withdrawals from a budget.
const (
	resultGranted = "granted"
	resultDenied  = "denied"
)

// panicType is the error type of a call that ended by a panic: there is no error.
const panicType = "panic"

// panicText is what is shown of it.
const panicText = "the operation panicked or left its goroutine"
