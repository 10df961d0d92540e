package retryaws

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsretry "github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/observable-go/toolkit/internal/clock"
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
	d = max(parseRetryAfter(h.Get(retryAfter), clock.Now(nil)), parseMilliseconds(h.Get(retryAfterAWS)))
	return d, d > 0
}

// parseRetryAfter returns the wait that the value of a Retry-After header asks for at the
// time now, and 0 for what has no proper form or lies in the past.
func parseRetryAfter(value string, now time.Time) time.Duration {
	if d := parseWait(value, time.Second); d > 0 {
		return d
	}
	if t, err := http.ParseTime(value); err == nil {
		return max(t.Sub(now), 0)
	}
	return 0
}

// parseMilliseconds is parseRetryAfter for X-Amz-Retry-After.
func parseMilliseconds(value string) time.Duration { return parseWait(value, time.Millisecond) }

// parseWait returns value times unit, the longest duration if that is longer, and 0 for what
// is no number without a sign.
func parseWait(value string, unit time.Duration) time.Duration {
	value = strings.TrimSpace(value)
	if strings.HasPrefix(value, "+") {
		return 0
	}
	n, err := strconv.ParseInt(value, 10, 64)
	switch {
	case n < 0 || err != nil && !errors.Is(err, strconv.ErrRange):
		return 0
	case n > int64(math.MaxInt64/unit):
		return math.MaxInt64
	}
	return time.Duration(n) * unit
}
