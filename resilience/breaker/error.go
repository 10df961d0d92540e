package breaker

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/observable-go/toolkit/resilience"
)

// ErrOpen is what errors.Is finds in the error of a call that a breaker rejected.
var ErrOpen = errors.New("the circuit breaker is open")

var (
	errNoOperation = resilience.Permanent(errors.New("breaker: the operation is nil"))
	errNoContext   = resilience.Permanent(errors.New("breaker: the context is nil"))
)

// An OpenError reports that a breaker rejected a call: the callee was not asked. It is a
// refusal, which no policy retries.
type OpenError struct {
	// Name is that of the breaker.
	Name string
	// State is Open, HalfOpen or ForcedOpen.
	State State
	// After is how long it takes until a call may pass: in state Open until the breaker
	// lets probes pass, in state HalfOpen as long as it would stay open if a probe failed. It
	// is 0 in state ForcedOpen, whose end nobody knows.
	After time.Duration
}

// Error returns a text such as
//
//	orders: the circuit breaker is open, try again in 4.2s
func (e *OpenError) Error() string {
	text := e.Name + ": the circuit breaker is "
	switch e.State {
	case HalfOpen:
		text += "half-open and its probes are under way"
	case ForcedOpen:
		text += "forced open"
	default:
		text += "open"
	}
	if e.After > 0 {
		text += fmt.Sprintf(", try again in %v", roundUp(e.After))
	}
	return text
}

// roundUp rounds to what a reader wants to know.
func roundUp(d time.Duration) time.Duration {
	const unit = 100 * time.Millisecond
	if d > math.MaxInt64-unit {
		return d
	}
	return (d + unit - 1).Truncate(unit)
}

// Is reports whether target is [ErrOpen].
func (*OpenError) Is(target error) bool { return target == ErrOpen }

// Refused returns true.
func (*OpenError) Refused() bool { return true }

// RetryAfter returns After, and whether that is known.
func (e *OpenError) RetryAfter() (time.Duration, bool) { return e.After, e.After > 0 }

// ErrorType returns "breaker_open".
func (*OpenError) ErrorType() string { return "breaker_open" }
