package retry_test

import (
	"context"
	"fmt"
	"syscall"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retry"
)

// resilience.Go runs a call in a goroutine of its own, retries included.
func Example_async() {
	policy := retry.MustNew("report.build", retry.WithInitialDelay(0))
	ctx := context.Background()

	calls := 0
	report := resilience.Go(ctx, policy, func(ctx context.Context) (string, error) {
		if calls++; calls < 3 {
			return "", syscall.ECONNRESET
		}
		return "42 pages", nil
	})

	// The caller does something else here.

	fmt.Println(report.Await(ctx))
	// Output: 42 pages <nil>
}
