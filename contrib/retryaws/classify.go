package retryaws

import (
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsretry "github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/internal/retryafter"
	"github.com/observable-go/toolkit/resilience"
)

// classify is the opinion of the SDK: that of its default retryer. An answer of a service
// that it does not know to be transient is permanent.
func classify(err error) resilience.Class {
	switch awsretry.IsErrorRetryables(awsretry.DefaultRetryables).IsErrorRetryable(err) {
	case aws.TrueTernary:
		return resilience.ClassRetryable
	case aws.FalseTernary:
		return resilience.ClassPermanent
	default:
	}
	if _, answered := errors.AsType[smithy.APIError](err); answered {
		return resilience.ClassPermanent
	}
	return resilience.ClassUnknown
}

// isThrottle reports whether the SDK takes err for a service that asks for fewer calls.
func isThrottle(err error) bool {
	return awsretry.IsErrorThrottles(awsretry.DefaultThrottles).IsErrorThrottle(err).Bool()
}

// A failure is the error of an attempt, in words that policies understand.
type failure struct {
	err  error
	call *call
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// ErrorType returns the code by which the service names the failure, or "" without one.
func (f *failure) ErrorType() string {
	if api, ok := errors.AsType[smithy.APIError](f.err); ok {
		return api.ErrorCode()
	}
	return ""
}

// RetryAfter returns how long the service asked to wait.
func (f *failure) RetryAfter() (time.Duration, bool) { return pushbackIn(f.err) }

// Throttled reports whether the service asked for fewer calls.
func (f *failure) Throttled() bool {
	_, pushback := pushbackIn(f.err)
	return pushback || isThrottle(f.err)
}

// callIn returns the call whose attempt failed with err, or nil without the middleware.
func callIn(err error) *call {
	if f, ok := errors.AsType[*failure](err); ok {
		return f.call
	}
	return nil
}

// judged returns err with the class that it was given as its own word, so that policies
// further out come to the same opinion.
func judged(err error, class resilience.Class) error {
	switch class {
	case resilience.ClassRetryable:
		return resilience.Retryable(err)
	case resilience.ClassPermanent:
		return &unretryable{err}
	default:
		return err
	}
}

// An unretryable error says so itself, which unlike a mark leaves the last word to the
// options of a policy further out.
type unretryable struct{ err error }

func (u *unretryable) Error() string { return u.err.Error() }
func (u *unretryable) Unwrap() error { return u.err }

// Retryable returns false.
func (*unretryable) Retryable() bool { return false }

// Headers of an answer that says when to come back.
const (
	retryAfter    = "Retry-After"       // seconds or a date: RFC 9110, section 10.2.3
	retryAfterAWS = "X-Amz-Retry-After" // milliseconds: the SDK's standard retries
)

// pushbackIn returns how long the answer in err asks to wait, the longest if it says so twice.
func pushbackIn(err error) (d time.Duration, ok bool) {
	answer, ok := errors.AsType[*smithyhttp.ResponseError](err)
	if !ok || answer.Response == nil || answer.Response.Response == nil {
		return 0, false
	}
	h := answer.Response.Header
	after, _ := retryafter.Parse(h.Get(retryAfter), retryafter.ServerClock(h, func() time.Time { return clock.Now(nil) }))
	afterAWS, _ := retryafter.Units(h.Get(retryAfterAWS), time.Millisecond)
	d = max(after, afterAWS)
	return d, d > 0
}
