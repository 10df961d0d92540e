package retry_test

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/observable-go/toolkit/resilience/budget"
	"github.com/observable-go/toolkit/resilience/retry"
)

// Policies that send to one callee share a budget. In an outage the callee sees a
// little more than the calls, not a multiple of them.
func ExampleWithBudget() {
	retries := budget.MustNew("warehouse",
		budget.WithRatio(0.1), // one retry for ten calls
		budget.WithFloor(0),   // 1 a second by default; 0 only so that the example is exact
		budget.WithBurst(5),
	)
	get := retry.MustNew("warehouse.get", retry.WithBudget(retries), retry.WithInitialDelay(0))
	put := retry.MustNew("warehouse.put", retry.WithBudget(retries), retry.WithInitialDelay(0))

	sent, denied := 0, 0
	down := func(ctx context.Context) error {
		sent++
		return syscall.ECONNREFUSED
	}
	for range 100 {
		for _, policy := range []*retry.Policy{get, put} {
			if err := policy.Do(context.Background(), down); errors.Is(err, retry.ErrBudgetExhausted) {
				denied++
			}
		}
	}
	fmt.Println(sent, "attempts for 200 calls, where 4 attempts each would be 800")
	fmt.Println(denied, "calls were denied a retry")
	// Output:
	// 224 attempts for 200 calls, where 4 attempts each would be 800
	// 199 calls were denied a retry
}
