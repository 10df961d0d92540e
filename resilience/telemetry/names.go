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
)

// Span events, and log events of the same names.
const (
	EventAttemptSucceeded = "resilience.attempt.succeeded"
	EventAttemptFailed    = "resilience.attempt.failed"
	EventRetryScheduled   = "resilience.retry.scheduled"
	EventRetrySucceeded   = "resilience.retry.succeeded"
	EventRetryExhausted   = "resilience.retry.exhausted"
	EventRetryStopped     = "resilience.retry.stopped"
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
