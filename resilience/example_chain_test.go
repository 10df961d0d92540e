package resilience_test

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retry"
)

// A chain is read from the outside to the inside. What stands inside of the retries
// counts attempts: here a bulkhead, which lets 10 attempts at a time through.
func ExampleChain() {
	slots := make(chan struct{}, 10)
	bulkhead := resilience.PolicyFunc(func(ctx context.Context, op resilience.Operation) error {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
			fmt.Println("bulkhead entered")
			return op(ctx)
		default:
			return resilience.Refused(errors.New("bulkhead is full")) // not retried
		}
	})
	retries := retry.MustNew("inventory", retry.WithInitialDelay(0))

	client := resilience.Chain(retries, bulkhead)

	calls := 0
	err := client.Do(context.Background(), func(ctx context.Context) error {
		if calls++; calls == 1 {
			return syscall.ECONNREFUSED
		}
		return nil
	})
	fmt.Println(calls, err)
	// Output:
	// bulkhead entered
	// bulkhead entered
	// 2 <nil>
}

// Named gives each operation its name in telemetry, through a chain too. The rules and
// later updates stay those of the one policy.
func ExampleNamed() {
	retries := retry.MustNew("inventory", retry.WithMaxRetries(1), retry.WithInitialDelay(0))
	client := resilience.Chain(nil, retries) // nil: a stage that is left out

	get := resilience.Named(client, "inventory.get")
	err := get.Do(context.Background(), func(ctx context.Context) error { return syscall.ECONNRESET })

	gaveUp, ok := errors.AsType[*retry.Error](err)
	fmt.Println(ok, gaveUp.Policy, gaveUp.Attempts)
	// Output: true inventory.get 2
}
