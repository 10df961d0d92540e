package ratelimit

import (
	"errors"
	"fmt"
	"time"

	"github.com/observable-go/toolkit/resilience"
)

// ErrRate is found by errors.Is in the error of every call that a limiter refused.
var ErrRate = errors.New("the rate limit is reached")

// Reasons why a limiter refuses a call: the Reason of a [RateError].
const (
	ReasonRate     = "rate"     // there is no turn now, and nobody may wait
	ReasonWait     = "wait"     // the turn comes later than [WithMaxWait] allows
	ReasonDeadline = "deadline" // the context ends before the turn, or just then
)

// A RateError reports that a limiter refused a call, which was not sent. It is a refusal:
// retries do not repeat the call. errors.Is finds [ErrRate] in it.
type RateError struct {
	// Name is the name of the limiter.
	Name string
	// Rate is how many calls a second it allowed.
	Rate float64
	// Reason is ReasonRate, ReasonWait or ReasonDeadline.
	Reason string
	// After is the time from the refusal to the turn that the call would have had. A call
	// that comes then is let through without a wait, unless others have come before it or
	// the rate was changed.
	After time.Duration
}

// Error returns a text such as
//
//	inventory: the rate limit is reached (50 calls/s): call again in 15ms
func (e *RateError) Error() string {
	text := fmt.Sprintf("%s: the rate limit is reached (%v calls/s): ", e.Name, e.Rate)
	switch e.Reason {
	case ReasonWait:
		text += "the turn comes later than a call may wait, "
	case ReasonDeadline:
		text += "the context ends before the turn, "
	}
	return text + fmt.Sprintf("call again in %v", e.After)
}

// Is reports whether target is [ErrRate].
func (*RateError) Is(target error) bool { return target == ErrRate }

// Refused marks the error as the refusal of a policy: see [resilience.Refused].
func (*RateError) Refused() bool { return true }

// RetryAfter returns After, and whether that lies in the future.
func (e *RateError) RetryAfter() (time.Duration, bool) { return e.After, e.After > 0 }

// ErrorType returns "rate_limited", under which telemetry shows the error.
func (*RateError) ErrorType() string { return "rate_limited" }

var (
	errNoOperation = resilience.Permanent(errors.New("ratelimit: the operation is nil"))
	errNoContext   = resilience.Permanent(errors.New("ratelimit: the context is nil"))
	errNilLimiter  = errors.New("ratelimit: a nil *Limiter has no rate to set")
)
