package retry_test

import (
	"context"
	"fmt"
	"syscall"

	"github.com/observable-go/toolkit/resilience/retry"
)

// A policy is made once and shared by every call of the operation.
func Example() {
	policy := retry.MustNew("inventory.get",
		retry.WithMaxRetries(3),
		retry.WithInitialDelay(0), // only so that the example does not wait
	)

	calls := 0
	item, err := retry.DoValue(context.Background(), policy, func(ctx context.Context) (string, error) {
		if calls++; calls < 3 {
			return "", syscall.ECONNREFUSED
		}
		return "bicycle", nil
	})
	fmt.Println(item, err, "after", calls, "attempts")
	// Output: bicycle <nil> after 3 attempts
}

func ExampleDoValue() {
	policy := retry.MustNew("price.get", retry.WithInitialDelay(0))

	prices := []error{syscall.ECONNRESET, nil}
	price, err := retry.DoValue(context.Background(), policy, func(ctx context.Context) (int, error) {
		err := prices[0]
		prices = prices[1:]
		return 4200, err
	})
	fmt.Println(price, err)
	// Output: 4200 <nil>
}

// Do is the form for operations without a value.
func ExamplePolicy_Do() {
	policy := retry.MustNew("order.save", retry.WithInitialDelay(0))

	calls := 0
	err := policy.Do(context.Background(), func(ctx context.Context) error {
		if calls++; calls == 1 {
			return syscall.EPIPE
		}
		return nil
	})
	fmt.Println(calls, err)
	// Output: 2 <nil>
}
