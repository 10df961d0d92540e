package retry_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retry"
)

// A callee that says when to come back is obeyed: the policy waits exactly that long
// in place of its own delay.
func Example_retryAfter() {
	policy := retry.MustNew("api.get", retry.WithOnRetry(func(_ context.Context, r retry.Retry) {
		fmt.Printf("attempt %d of %d after %v: %v\n", r.Attempt, r.Max, r.Delay, r.Err)
	}))

	calls := 0
	err := policy.Do(context.Background(), func(ctx context.Context) error {
		if calls++; calls == 1 {
			return resilience.RetryAfter(errors.New("too many requests"), 3*time.Millisecond)
		}
		return nil
	})
	fmt.Println(err)
	// Output:
	// attempt 2 of 4 after 3ms: too many requests
	// <nil>
}

// A callee that asks for more than the policy may wait ends the call at once.
func ExampleWithMaxPushback() {
	policy := retry.MustNew("api.get", retry.WithMaxPushback(10*time.Second))

	err := policy.Do(context.Background(), func(ctx context.Context) error {
		return resilience.RetryAfter(errors.New("maintenance"), time.Hour)
	})
	fmt.Println(errors.Is(err, retry.ErrPushback))
	fmt.Println(err)
	// Output:
	// true
	// api.get: gave up after 1 attempt (the callee asked to wait for too long): maintenance
}
