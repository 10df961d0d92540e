package retry_test

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/observable-go/toolkit/resilience/retry"
)

// An error of a call that gave up holds the last failure, the reason and the history.
func ExampleError() {
	policy := retry.MustNew("inventory.get", retry.WithMaxRetries(2), retry.WithInitialDelay(0))

	err := policy.Do(context.Background(), func(ctx context.Context) error {
		return syscall.ECONNREFUSED
	})

	fmt.Println(errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, retry.ErrExhausted))

	if gaveUp, ok := errors.AsType[*retry.Error](err); ok {
		fmt.Println(gaveUp.Policy, gaveUp.Attempts, gaveUp.Reason)
		for _, f := range gaveUp.Failures() {
			fmt.Println(f.Attempt, f.Err)
		}
	}
	// Output:
	// true true
	// inventory.get 3 no attempts left
	// 1 connection refused
	// 2 connection refused
	// 3 connection refused
}

// A cancelled call tells why it was cancelled.
func ExampleError_cause() {
	policy := retry.MustNew("inventory.get")
	errShutdown := errors.New("shutting down")
	ctx, cancel := context.WithCancelCause(context.Background())

	err := policy.Do(ctx, func(ctx context.Context) error {
		cancel(errShutdown)
		return syscall.ECONNRESET
	})
	for _, target := range []error{retry.ErrCanceled, context.Canceled, errShutdown, syscall.ECONNRESET} {
		fmt.Println(errors.Is(err, target))
	}
	// Output:
	// true
	// true
	// true
	// true
}

// A policy does not retry what an inner policy gave up: the attempts do not multiply.
func ExampleError_nested() {
	inner := retry.MustNew("inventory.get", retry.WithInitialDelay(0))
	outer := retry.MustNew("checkout", retry.WithInitialDelay(0))

	calls := 0
	err := outer.Do(context.Background(), func(ctx context.Context) error {
		return inner.Do(ctx, func(ctx context.Context) error {
			calls++
			return syscall.ECONNREFUSED
		})
	})
	fmt.Println(calls, errors.Is(err, retry.ErrExhausted))
	// Output: 4 true
}
