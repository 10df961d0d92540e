package resilience_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"

	"github.com/observable-go/toolkit/resilience"
)

// Classify answers on its own whether an error should be retried.
func ExampleClassify() {
	errFull := errors.New("disk full")
	for _, err := range []error{
		syscall.ECONNREFUSED,
		context.DeadlineExceeded,
		io.ErrUnexpectedEOF,
		context.Canceled,
		errFull,
		resilience.Retryable(errFull),
		resilience.Permanent(syscall.ECONNREFUSED),
		errors.Join(syscall.ECONNREFUSED, resilience.Permanent(errFull)), // the strictest wins
	} {
		fmt.Println(resilience.Classify(err))
	}
	// Output:
	// retryable
	// retryable
	// retryable
	// permanent
	// unknown
	// retryable
	// permanent
	// permanent
}

// Rules are an opinion of one's own.
func ExampleRules() {
	errBusy, errAuth := errors.New("busy"), errors.New("wrong password")
	rules := resilience.Rules{
		Retryable: []resilience.Matcher{resilience.MatchIs(errBusy)},
		Permanent: []resilience.Matcher{resilience.MatchIs(errAuth)},
	}

	fmt.Println(rules.Classify(fmt.Errorf("login: %w", errBusy)))
	fmt.Println(rules.Classify(fmt.Errorf("login: %w", errAuth)))
	fmt.Println(rules.Classify(errors.New("login: no idea")))
	// Output:
	// retryable
	// permanent
	// unknown
}

// A mark changes neither the text of an error nor what errors.Is finds in it.
func ExamplePermanent() {
	errAuth := errors.New("wrong password")
	err := resilience.Permanent(errAuth)
	fmt.Println(err, errors.Is(err, errAuth), resilience.Permanent(nil) == nil)
	// Output: wrong password true true
}
