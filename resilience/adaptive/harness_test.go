package adaptive_test

import (
	"context"
	"errors"
	"runtime"

	"github.com/observable-go/toolkit/resilience"
)

var (
	errPlain     = errors.New("plain")
	errRetryable = resilience.Retryable(errPlain)
	errPermanent = resilience.Permanent(errPlain)
	errRefused   = resilience.Refused(errPlain)
	errGone      = errors.New("gone")
)

// gaveUpError is the error of a retry that gave up.
type gaveUpError struct{ last error }

func (gaveUpError) Error() string        { return "gave up" }
func (gaveUpError) Refused() bool        { return true }
func (e gaveUpError) LastFailure() error { return e.last }

// notSentError is the error of a call that did not reach the callee, as its time was over
// before.
type notSentError struct{}

func (notSentError) Error() string { return "not sent" }
func (notSentError) NotSent() bool { return true }

// returning is an operation that returns err.
func returning(err error) resilience.Operation {
	return func(context.Context) error { return err }
}

// exits are the ways of an operation to leave without returning.
var exits = map[string]func(){
	"panic":  func() { panic("boom") },
	"goexit": runtime.Goexit,
}

// leaving calls f in a goroutine that f may end, and returns what it panicked with.
func leaving(f func()) (recovered any) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { recovered = recover() }()
		f()
	}()
	<-done
	return recovered
}
