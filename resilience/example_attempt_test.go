package resilience_test

import (
	"context"
	"fmt"
	"syscall"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retry"
)

// An operation can tell that it is repeated. In a first attempt there is nothing to
// tell.
func ExampleAttemptFrom() {
	policy := retry.MustNew("inventory.get", retry.WithInitialDelay(0))
	_ = policy.Do(context.Background(), func(ctx context.Context) error {
		attempt := resilience.AttemptFrom(ctx)
		if attempt == nil {
			fmt.Println("first attempt: the cache may answer")
			return syscall.ECONNRESET
		}
		fmt.Printf("attempt %d of %d of %s: ask the origin\n", attempt.Number, attempt.Max, attempt.Policy)
		return nil
	})
	// Output:
	// first attempt: the cache may answer
	// attempt 2 of 4 of inventory.get: ask the origin
}

// A caller that would rather fail fast says so in the context.
func ExampleNoRetry() {
	policy := retry.MustNew("inventory.get")
	calls := 0
	err := policy.Do(resilience.NoRetry(context.Background()), func(ctx context.Context) error {
		calls++
		return syscall.ECONNRESET
	})
	fmt.Println(calls, err)
	// Output: 1 connection reset by peer
}
