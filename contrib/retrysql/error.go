package retrysql

import (
	"errors"
	"fmt"

	"github.com/observable-go/toolkit/resilience"
)

// A CommitUnknownError reports that nobody on this side knows whether a transaction took
// effect: its connection was lost, or its context ended, while COMMIT was under way. A
// statement outside of a transaction is one of its own, so it can end like that too.
//
// It is permanent, unless the runner was made with [WithIdempotent]: policies do not repeat
// it. To find out, look for what the transaction writes, or ask the function txid_status of
// PostgreSQL for the transaction's number.
type CommitUnknownError struct {
	// Err is the error of the driver.
	Err error
}

// Error returns a text such as
//
//	retrysql: it is unknown whether the transaction was committed: unexpected EOF
func (e *CommitUnknownError) Error() string {
	return fmt.Sprintf("retrysql: it is unknown whether the transaction was committed: %v", e.Err)
}

// ErrorType returns "commit_unknown".
func (*CommitUnknownError) ErrorType() string { return "commit_unknown" }

// Unwrap returns the error of the driver.
func (e *CommitUnknownError) Unwrap() error { return e.Err }

// A failure gives the error of a driver its name in telemetry.
type failure struct {
	err       error
	name      string
	throttled bool
}

func (f *failure) Error() string     { return f.err.Error() }
func (f *failure) Unwrap() error     { return f.err }
func (f *failure) ErrorType() string { return f.name }
func (f *failure) Throttled() bool   { return f.throttled }

// A judged failure has a class too. It is no mark of package resilience, which no option of
// a policy could override.
type judged struct {
	failure

	retryable bool
}

func (f *judged) Retryable() bool { return f.retryable }

// A noEffectError says of an error that there was no effect.
type noEffectError struct{ error }

func (e noEffectError) Unwrap() error { return e.error }
func (noEffectError) NoEffect() bool  { return true }

// endedByFunction is the error of a transaction that the function itself has ended, which may
// have been by a COMMIT: done says so, and err is what the function returned, or nil.
func endedByFunction(done, err error) error {
	const text = "retrysql: the function has ended the transaction by itself: leave COMMIT and ROLLBACK to the caller"
	if err == nil {
		err = fmt.Errorf("%s: %w", text, done)
	} else {
		err = fmt.Errorf("%s: %w: %w", text, done, err)
	}
	return resilience.Permanent(&failure{err: err, name: "transaction_ended"})
}

var (
	errNoContext  = resilience.Permanent(errors.New("retrysql: the context is nil"))
	errNoDatabase = resilience.Permanent(errors.New("retrysql: the database is nil"))
	errNoFunction = resilience.Permanent(errors.New("retrysql: the function is nil"))
)
