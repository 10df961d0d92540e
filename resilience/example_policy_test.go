package resilience_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/observable-go/toolkit/resilience"
)

// A function is a policy. This one runs an operation up to twice.
var twice = resilience.PolicyFunc(func(ctx context.Context, op resilience.Operation) error {
	if op(ctx) == nil {
		return nil
	}
	return op(ctx)
})

func ExamplePolicyFunc() {
	calls := 0
	err := twice.Do(context.Background(), func(ctx context.Context) error {
		calls++
		if calls == 1 {
			return fmt.Errorf("call %d failed", calls)
		}
		return nil
	})
	fmt.Println(calls, err)
	// Output: 2 <nil>
}

// DoValue runs an operation with a value under any policy.
func ExampleDoValue() {
	calls := 0
	value, err := resilience.DoValue(context.Background(), twice, func(ctx context.Context) (string, error) {
		if calls++; calls == 1 {
			return "", fmt.Errorf("call %d failed", calls)
		}
		return "bicycle", nil
	})
	fmt.Println(value, err)
	// Output: bicycle <nil>
}

// Wrap1 decorates a function with an argument.
func ExampleWrap1() {
	calls := 0
	shout := resilience.Wrap1(twice, func(ctx context.Context, text string) (string, error) {
		if calls++; calls == 1 {
			return "", fmt.Errorf("call %d failed", calls)
		}
		return strings.ToUpper(text), nil
	})
	fmt.Println(shout(context.Background(), "ready"))
	// Output: READY <nil>
}

// Go runs a call in a goroutine of its own.
func ExampleGo() {
	ctx := context.Background()
	sum := resilience.Go(ctx, twice, func(ctx context.Context) (int, error) { return 1 + 1, nil })
	product := resilience.Go(ctx, twice, func(ctx context.Context) (int, error) { return 2 * 3, nil })

	fmt.Println(sum.Await(ctx))
	fmt.Println(product.Await(ctx))
	// Output:
	// 2 <nil>
	// 6 <nil>
}
