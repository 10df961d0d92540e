package bulkhead_test

import (
	"context"
	"fmt"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/bulkhead"
)

// With an adaptive limit the bulkhead finds out how many calls the callee can bear.
func ExampleWithAdaptiveLimit() {
	inventory, err := bulkhead.New("inventory", 20, bulkhead.WithAdaptiveLimit(&bulkhead.Gradient2{MinLimit: 5, MaxLimit: 200}))
	fmt.Println(inventory.Limit(), err)

	_, err = bulkhead.New("inventory", 2, bulkhead.WithAdaptiveLimit(&bulkhead.Gradient2{MinLimit: 5, MaxLimit: 200}))
	fmt.Println(err)
	// Output:
	// 20 <nil>
	// bulkhead: "inventory": limit: 2 is not allowed: want 5 to 200, the bounds of the adaptive limit
}

// halving is an algorithm of one's own: it halves the limit on a failure that speaks of
// overload, and adds 1 on a round of calls that succeed.
type halving struct{}

func (halving) Next(limit float64, s bulkhead.Sample) float64 {
	if s.Dropped {
		return limit / 2
	}
	return min(limit+1, 100)
}

func ExampleAlgorithm() {
	b := bulkhead.MustNew("inventory", 20, bulkhead.WithAdaptiveLimit(halving{}))
	ctx := context.Background()
	for range b.Limit() { // a round
		_ = b.Do(ctx, func(context.Context) error { return nil })
	}
	fmt.Println(b.Limit())
	for range 4 { // the first three are an exception
		_ = b.Do(ctx, func(context.Context) error { return resilience.Retryable(fmt.Errorf("overloaded")) })
	}
	fmt.Println(b.Limit())
	// Output:
	// 21
	// 10
}
