package adaptive

import (
	"errors"
	"fmt"
	"time"

	"github.com/observable-go/toolkit/resilience"
)

// What errors.Is finds in the refusals of this package.
var (
	// ErrRate is found in every [*RateError].
	ErrRate = errors.New("the adaptive rate is exceeded")
	// ErrThrottled is found in every [*ThrottleError].
	ErrThrottled = errors.New("throttled locally")
)

// Reasons of a [RateError].
const (
	// ReasonDeadline: the call's turn would come after the deadline of its context.
	ReasonDeadline = "deadline"
	// ReasonWait: the call's turn would come later than the limiter lets calls wait.
	ReasonWait = "wait"
)

// A RateError reports that a [RateLimiter] rejected a call, which would have had to wait
// too long: the callee was not asked. It is a refusal, which no policy retries.
type RateError struct {
	// Name is that of the limiter.
	Name string
	// Rate is how many calls a second it allowed.
	Rate float64
	// Reason is ReasonWait or ReasonDeadline.
	Reason string
	// After is how long the call would have had to wait from its refusal on, at that rate.
	After time.Duration
}

// Error returns a text such as
//
//	orders: the callee throttles: at 0.5 calls/s this one would wait 4.2s, longer than it may
func (e *RateError) Error() string {
	than := "it may"
	if e.Reason == ReasonDeadline {
		than = "its deadline allows"
	}
	return fmt.Sprintf("%s: the callee throttles: at %.3g calls/s this one would wait %v, longer than %s",
		e.Name, e.Rate, e.After.Round(time.Millisecond), than)
}

// Refused returns true.
func (*RateError) Refused() bool { return true }

// RetryAfter returns After.
func (e *RateError) RetryAfter() (time.Duration, bool) { return e.After, e.After > 0 }

// ErrorType returns "adaptive_rate".
func (*RateError) ErrorType() string { return "adaptive_rate" }

// Is reports whether target is [ErrRate].
func (*RateError) Is(target error) bool { return target == ErrRate }

// A ThrottleError reports that a [Throttle] rejected a call: the callee was not asked. It
// is a refusal, which no policy retries.
type ThrottleError struct {
	// Name is that of the throttle.
	Name string
	// Probability is the one with which the call was rejected.
	Probability float64
}

// Error returns a text such as
//
//	orders: throttled locally: the callee accepts too little, 37.5 % of the calls are not sent
func (e *ThrottleError) Error() string {
	return fmt.Sprintf("%s: throttled locally: the callee accepts too little, %.3g %% of the calls are not sent",
		e.Name, 100*e.Probability)
}

// Refused returns true.
func (*ThrottleError) Refused() bool { return true }

// ErrorType returns "throttled_locally".
func (*ThrottleError) ErrorType() string { return "throttled_locally" }

// Is reports whether target is [ErrThrottled].
func (*ThrottleError) Is(target error) bool { return target == ErrThrottled }

var (
	errNoOperation = resilience.Permanent(errors.New("adaptive: the operation is nil"))
	errNoContext   = resilience.Permanent(errors.New("adaptive: the context is nil"))
)
