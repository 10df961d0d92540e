package retry_test

import (
	"context"
	"fmt"
	"syscall"

	"github.com/observable-go/toolkit/resilience/retry"
)

// The hook is called before each retry and never after the last failure.
func ExampleWithOnRetry() {
	policy := retry.MustNew("inventory.get", retry.WithMaxRetries(2), retry.WithInitialDelay(0),
		retry.WithOnRetry(func(ctx context.Context, r retry.Retry) {
			fmt.Printf("%s: attempt %d of %d, as: %v\n", r.Policy, r.Attempt, r.Max, r.Err)
		}))

	_ = policy.Do(context.Background(), func(ctx context.Context) error { return syscall.ECONNREFUSED })
	// Output:
	// inventory.get: attempt 2 of 3, as: connection refused
	// inventory.get: attempt 3 of 3, as: connection refused
}
