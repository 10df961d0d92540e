package retryaws

import (
	"context"
	"errors"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// A stop is a reason why there is no retry, with its names in telemetry.
type stop struct {
	err     error
	outcome telemetry.Outcome
	name    string
}

var (
	stopExhausted  = &stop{retry.ErrExhausted, telemetry.OutcomeExhausted, "max_retries"}
	stopBudget     = &stop{retry.ErrBudgetExhausted, telemetry.OutcomeBudgetExhausted, "budget"}
	stopDeadline   = &stop{retry.ErrDeadline, telemetry.OutcomeDeadline, "deadline"}
	stopCanceled   = &stop{retry.ErrCanceled, telemetry.OutcomeCanceled, "canceled"}
	stopMaxElapsed = &stop{retry.ErrMaxElapsed, telemetry.OutcomeDeadline, "max_elapsed"}
	stopPushback   = &stop{retry.ErrPushback, telemetry.OutcomeDeadline, "pushback"}
	// Whoever forbade retries may want to retry by itself, so this is no refusal.
	stopForbidden = &stop{errors.New("the context forbids retries"), telemetry.OutcomeRefused, "no_retry"}
)

// ended returns the stop that the state of the context demands, or nil.
func ended(ctx context.Context) *stop {
	switch err := ctx.Err(); {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return stopDeadline
	default:
		return stopCanceled
	}
}

// forbiddenBy returns whose retries the context leaves it to.
func forbiddenBy(ctx context.Context) string {
	if outer := resilience.AttemptFrom(ctx); outer != nil && outer.Remote {
		return telemetry.ReasonRemoteRetries
	}
	return stopForbidden.name
}

// A denial tells the SDK that a retry was not granted. The SDK joins it to the failure.
type denial struct{ stop *stop }

func (d *denial) Error() string { return "retryaws: " + d.stop.err.Error() }
func (d *denial) Unwrap() error { return d.stop.err }

// Refused reports whether policies further out must not repeat the call either.
func (d *denial) Refused() bool {
	return d.stop == stopBudget || d.stop == stopPushback || d.stop == stopMaxElapsed
}

// ErrorType returns the name of the outcome, such as "budget_exhausted".
func (d *denial) ErrorType() string { return d.stop.outcome.String() }
