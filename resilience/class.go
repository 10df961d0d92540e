package resilience

import (
	"fmt"
	"time"
)

// A Class says whether an error is worth retrying. The classes are ordered by
// strictness: where several opinions meet, the strictest wins.
type Class uint8

const (
	// ClassUnknown is no opinion.
	ClassUnknown Class = iota
	// ClassRetryable is a failure that may be over at the next attempt.
	ClassRetryable
	// ClassPermanent is a failure that would happen again.
	ClassPermanent
	// ClassRefused means that a policy in this process rejected the call, such as an
	// open breaker or an inner retry that gave up. It is never retried.
	ClassRefused
)

// String returns the class in lower case, as in "retryable".
func (c Class) String() string {
	switch c {
	case ClassUnknown:
		return "unknown"
	case ClassRetryable:
		return "retryable"
	case ClassPermanent:
		return "permanent"
	case ClassRefused:
		return "refused"
	}
	return fmt.Sprintf("Class(%d)", uint8(c))
}

// A Classifier gives its opinion on an error, or ClassUnknown for none. It must be
// safe for use by several goroutines at once.
type Classifier func(err error) Class

// Retryable marks err as worth another attempt. Marks change neither the message of
// an error nor what errors.Is and errors.As find in it. Retryable(nil) is nil, as
// is every other mark of nil.
func Retryable(err error) error { return marked(mark{err: err, class: ClassRetryable}) }

// Permanent marks err as not worth another attempt, whatever other opinions say.
func Permanent(err error) error { return marked(mark{err: err, class: ClassPermanent}) }

// Refused marks err as the refusal of a policy. No option and no classifier
// overrides it. It is for authors of policies, whose error types may have a method
// Refused() bool instead.
func Refused(err error) error { return marked(mark{err: err, class: ClassRefused}) }

// RetryAfter marks err as worth another attempt d from now: the callee said when to
// come back. Policies wait exactly d in place of their own delay, or give up if d
// is longer than they may wait. With d <= 0 there is nothing to wait for, and
// policies use their own delay. Either way the callee asked for fewer calls: see
// [Throttled].
func RetryAfter(err error, d time.Duration) error {
	return marked(mark{err: err, class: ClassRetryable, after: d, throttled: true})
}

func marked(m mark) error {
	if m.err == nil {
		return nil
	}
	return &m
}

// mark is an error with a class of its own.
type mark struct {
	err   error
	class Class
	after time.Duration
	// throttled: it is a mark by RetryAfter, also if that said no time.
	throttled bool
}

func (m *mark) Error() string { return m.err.Error() }
func (m *mark) Unwrap() error { return m.err }

// Throttled is for [Throttled].
func (m *mark) Throttled() bool { return m.throttled }
