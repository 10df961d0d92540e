package bulkhead

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/observable-go/toolkit/resilience"
)

// ErrFull is found by errors.Is in the error of every call that a bulkhead refused.
var ErrFull = errors.New("the bulkhead is full")

// Reasons why a bulkhead refuses a call: the Reason of a [FullError].
const (
	ReasonFull     = "full"     // all slots are taken and nobody else may wait
	ReasonWait     = "wait"     // the call waited for as long as [WithMaxWait] allows
	ReasonDeadline = "deadline" // the context would end before the call's turn
)

// A FullError reports that a bulkhead refused a call, which was not sent. It is a refusal:
// retries do not repeat the call. errors.Is finds [ErrFull] in it.
type FullError struct {
	// Name is the name of the bulkhead.
	Name string
	// Limit is how many calls could be under way when this one was refused.
	Limit int
	// Queued is how many other calls waited then.
	Queued int
	// Reason is ReasonFull, ReasonWait or ReasonDeadline.
	Reason string
	// Waited is how long the call waited. It is 0 if it was refused at once.
	Waited time.Duration
	// Expected is how long the call would have waited, by estimate, where the reason is
	// ReasonDeadline, and 0 otherwise.
	Expected time.Duration
}

// Error says which bulkhead refused the call, why, and what to do.
func (e *FullError) Error() string {
	const advice = "call later or less often, or raise the limit"
	switch e.Reason {
	case ReasonWait:
		return fmt.Sprintf("bulkhead: %q: none of %d slots became free in %v: %s", e.Name, e.Limit, e.Waited, advice)
	case ReasonDeadline:
		return fmt.Sprintf("bulkhead: %q: the context ends before one of %d slots becomes free, in about %v: %s",
			e.Name, e.Limit, e.Expected.Round(time.Microsecond), advice)
	default:
		return fmt.Sprintf("bulkhead: %q: all %d slots are taken and %d calls wait: %s", e.Name, e.Limit, e.Queued, advice)
	}
}

// Is reports whether target is [ErrFull].
func (e *FullError) Is(target error) bool { return target == ErrFull }

// Refused marks the error as the refusal of a policy: see [resilience.Refused].
func (e *FullError) Refused() bool { return true }

// ErrorType returns "bulkhead_full", under which telemetry shows the error.
func (e *FullError) ErrorType() string { return "bulkhead_full" }

var (
	errNoOperation = resilience.Permanent(errors.New("bulkhead: the operation is nil"))
	errNoContext   = resilience.Permanent(errors.New("bulkhead: the context is nil"))
	errNilBulkhead = errors.New("bulkhead: a nil *Bulkhead has no limit to set")
)

// endedError is the error of a call whose context ended before its turn. errors.Is finds
// the context's error and its cause in it.
func endedError(ctx context.Context, name string) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return fmt.Errorf("bulkhead: %q: the context ended before the call's turn: %w", name, cause)
	}
	return fmt.Errorf("bulkhead: %q: the context ended before the call's turn: %w: %w", name, err, cause)
}
