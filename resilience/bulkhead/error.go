package bulkhead

import (
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

// Error returns a text such as
//
//	inventory: the bulkhead is full: all 10 slots are taken and 0 calls wait
func (e *FullError) Error() string {
	switch e.Reason {
	case ReasonWait:
		return fmt.Sprintf("%s: the bulkhead is full: none of %d slots became free in %v", e.Name, e.Limit, e.Waited)
	case ReasonDeadline:
		return fmt.Sprintf("%s: the bulkhead is full: the context ends before one of %d slots becomes free, in about %v",
			e.Name, e.Limit, e.Expected.Round(time.Microsecond))
	default:
		return fmt.Sprintf("%s: the bulkhead is full: all %d slots are taken and %d calls wait", e.Name, e.Limit, e.Queued)
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
