package retry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// Reasons why a policy stopped retrying a failure that it would otherwise have retried:
// the Reason of an [*Error], for use with errors.Is.
var (
	// ErrExhausted: the last attempt that MaxRetries allows failed.
	ErrExhausted = errors.New("no attempts left")
	// ErrBudgetExhausted: the budget denied the retry.
	ErrBudgetExhausted = errors.New("the retry budget is exhausted")
	// ErrDeadline: the context's deadline has passed, or would before the next attempt.
	// It is context.DeadlineExceeded too.
	ErrDeadline = fmt.Errorf("no time left: %w", context.DeadlineExceeded)
	// ErrCanceled: the caller cancelled the context. It is context.Canceled too.
	ErrCanceled = fmt.Errorf("stopped by the caller: %w", context.Canceled)
	// ErrMaxElapsed: the next attempt would start later than MaxElapsed allows.
	ErrMaxElapsed = errors.New("the time for retries is over")
	// ErrPushback: the callee asked to wait for longer than MaxPushback.
	ErrPushback = errors.New("the callee asked to wait for too long")

	// ErrNotDone is the last failure of a [Poll] that gave up.
	ErrNotDone = errors.New("not done yet")
)

var (
	errNilPolicy   = errors.New("retry: a nil *Policy has no Config to update")
	errNoOperation = resilience.Permanent(errors.New("retry: the operation is nil"))
	errNoContext   = resilience.Permanent(errors.New("retry: the context is nil"))
)

// An Error reports that a policy stopped retrying before the operation succeeded.
// errors.Is and errors.As find in it the last failure, the reason and, if the context
// ended the call, the context's cause.
type Error struct {
	// Policy is the name of the policy.
	Policy string
	// Attempts is how many attempts reached the operation; for a [Poll] how many times
	// it heard that it is not done.
	Attempts int
	// Elapsed is the time that retrying took: from the end of the first attempt to the
	// end of the call, as in the metric resilience.retry.latency. For a [Poll] it is the
	// time from its beginning on.
	Elapsed time.Duration
	// Reason is ErrExhausted or another reason of this package.
	Reason error
	// Last is the error of the last attempt. It is nil if no attempt was made.
	Last error
	// Cause is the context's cause if the context was done, and nil otherwise.
	Cause error

	history history
	budget  string // that denied a retry, if it has a name
	polled  bool   // Attempts are those of a Poll, which are no retries
}

// A Failure is an attempt of a call that failed.
type Failure struct {
	Attempt int // its number, from 1
	Err     error
	Delay   time.Duration // that the policy chose to wait after it; 0 after the last
}

// maxHistory is how many failures an Error keeps.
const maxHistory = 8

// history is the last failures of a call: failure i stands at i % maxHistory.
type history [maxHistory]Failure

func (h *history) add(f Failure) { h[f.Attempt%maxHistory] = f }

func (h *history) setDelay(attempt int, d time.Duration) { h[attempt%maxHistory].Delay = d }

// Failures returns the failures of the call in their order: the last 8 if there were
// more.
func (e *Error) Failures() []Failure {
	n := min(e.Attempts, maxHistory)
	failures := make([]Failure, 0, n)
	for attempt := e.Attempts - n + 1; attempt <= e.Attempts; attempt++ {
		if f := e.history[attempt%maxHistory]; f.Attempt == attempt {
			failures = append(failures, f)
		}
	}
	return failures
}

// Error returns a text such as
//
//	inventory.get: gave up after 4 attempts, 6.2s after the first failed (no attempts left): connection refused
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(cmp.Or(e.Policy, "retry"))
	switch e.Attempts {
	case 0:
		b.WriteString(": not started")
	case 1:
		b.WriteString(": gave up after 1 attempt")
	default:
		form := ": gave up after %d attempts, %v after the first failed"
		if e.polled {
			form = ": gave up after %d attempts in %v"
		}
		fmt.Fprintf(&b, form, e.Attempts, e.Elapsed.Round(roundTo(e.Elapsed)))
	}
	if e.budget != "" {
		fmt.Fprintf(&b, " (%v: %s)", e.Reason, e.budget)
	} else {
		fmt.Fprintf(&b, " (%v)", e.Reason)
	}
	if e.Last != nil {
		fmt.Fprintf(&b, ": %v", e.Last) // package fmt survives a panic in its Error
	}
	return b.String()
}

// roundTo keeps two or three digits of d.
func roundTo(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for d > 1000*unit {
		unit *= 10
	}
	return unit
}

// Refused reports whether a policy further out must not repeat the call: if retries
// were made, which it would multiply, or if a budget, the callee or the time for
// retries spoke against one. A call that made no retry, as MaxRetries is 0 or as its
// context left no time, is for the policy further out to judge; so is one of a [Poll].
func (e *Error) Refused() bool {
	return e.Attempts > 1 && !e.polled ||
		errors.Is(e.Reason, ErrBudgetExhausted) || errors.Is(e.Reason, ErrPushback) || errors.Is(e.Reason, ErrMaxElapsed)
}

// LastFailure returns Last, and nil for a [Poll], to which nothing failed: what policies that
// judge the callee go by, see [resilience.CalleeError].
func (e *Error) LastFailure() error {
	if e.polled {
		return nil
	}
	return e.Last
}

// Timeout reports whether the last failure was a timeout, or no attempt was made for lack of
// time. A *url.Error asks it, as do others, of what they wrap.
func (e *Error) Timeout() bool {
	err := e.Last
	if err == nil {
		err = e.Reason
	}
	timeout, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return ok && timeout.Timeout()
}

// Unwrap returns the last failure, the reason and the cause, as far as there are any.
func (e *Error) Unwrap() []error {
	wrapped := make([]error, 0, 3)
	for _, err := range []error{e.Last, e.Reason, e.Cause} {
		if err != nil {
			wrapped = append(wrapped, err)
		}
	}
	return wrapped
}

// attemptTimeoutError is the cause of the end of an attempt's context, so that a trace tells
// the policy's timeout from the caller's.
type attemptTimeoutError struct{ after time.Duration }

func (e *attemptTimeoutError) Error() string { return fmt.Sprintf("attempt timeout of %v", e.after) }
func (*attemptTimeoutError) Timeout() bool   { return true }
func (*attemptTimeoutError) Unwrap() error   { return context.DeadlineExceeded }

// ErrorType is for instrumentation further in, which sees the cause as an error.
func (*attemptTimeoutError) ErrorType() string { return "timeout" }

// A stop is a reason with its names in telemetry.
type stop struct {
	err     error
	outcome telemetry.Outcome
	name    string
}

var (
	stopExhausted  = &stop{ErrExhausted, telemetry.OutcomeExhausted, "max_retries"}
	stopBudget     = &stop{ErrBudgetExhausted, telemetry.OutcomeBudgetExhausted, "budget"}
	stopDeadline   = &stop{ErrDeadline, telemetry.OutcomeDeadline, "deadline"}
	stopCanceled   = &stop{ErrCanceled, telemetry.OutcomeCanceled, "canceled"}
	stopMaxElapsed = &stop{ErrMaxElapsed, telemetry.OutcomeDeadline, "max_elapsed"}
	stopPushback   = &stop{ErrPushback, telemetry.OutcomeDeadline, "pushback"}
)
