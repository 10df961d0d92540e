package bulkhead_test

import (
	"context"
	"fmt"

	"github.com/observable-go/toolkit/resilience/bulkhead"
)

// What is no function call takes its slot and gives it back by hand.
func ExampleBulkhead_Acquire() {
	streams := bulkhead.MustNew("streams", 2)
	if err := streams.Acquire(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(streams.Inflight(), "of", streams.Limit())
	streams.Release() // when the stream has ended
	fmt.Println(streams.Inflight(), "of", streams.Limit())
	// Output:
	// 1 of 2
	// 0 of 2
}

// The limit may change while calls are under way, for instance when a configuration is
// loaded anew.
func ExampleBulkhead_SetLimit() {
	inventory := bulkhead.MustNew("inventory", 20)
	fmt.Println(inventory.SetLimit(40), inventory.Limit())
	fmt.Println(inventory.SetLimit(0), inventory.Limit())
	// Output:
	// <nil> 40
	// bulkhead: "inventory": limit: 0 is not allowed: want 1 to 1000000 40
}
