package bulkhead_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/bulkhead"
)

// A call beyond the limit is refused at once, and not sent.
func Example() {
	inventory := bulkhead.MustNew("inventory", 1)
	ctx := context.Background()

	err := inventory.Do(ctx, func(ctx context.Context) error {
		return inventory.Do(ctx, func(context.Context) error { // a second call, while the first is under way
			fmt.Println("not reached")
			return nil
		})
	})

	if full, ok := errors.AsType[*bulkhead.FullError](err); ok {
		fmt.Println(full.Reason, full.Limit)
	}
	fmt.Println(errors.Is(err, bulkhead.ErrFull), resilience.Classify(err))
	// Output:
	// full 1
	// true refused
}

// DoValue is for operations that return a value.
func ExampleDoValue() {
	inventory := bulkhead.MustNew("inventory", 20)
	item, err := bulkhead.DoValue(context.Background(), inventory, func(context.Context) (string, error) {
		return "a lamp", nil
	})
	fmt.Println(item, err)
	// Output: a lamp <nil>
}
