package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/observable-go/toolkit/resilience/ratelimit"
)

// Without options a call that comes too early is refused at once.
func ExampleDoValue() {
	limit := ratelimit.MustNew("inventory", 1.0/60) // a call a minute
	fetch := func(context.Context) (string, error) { return "an item", nil }
	for range 2 {
		item, err := ratelimit.DoValue(context.Background(), limit, fetch)
		if refused, ok := errors.AsType[*ratelimit.RateError](err); ok {
			fmt.Println("not sent: call again in", refused.After.Round(time.Minute))
			continue
		}
		fmt.Println(item)
	}
	// Output:
	// an item
	// not sent: call again in 1m0s
}

// A loop that sends at the rate. Wait takes no longer than WithMaxWait allows.
func ExampleLimiter_Wait() {
	ctx := context.Background()
	limit := ratelimit.MustNew("mail", 1000, ratelimit.WithMaxWait(time.Second))
	for _, address := range []string{"a@example.com", "b@example.com", "c@example.com"} {
		if err := limit.Wait(ctx); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("to", address)
	}
	// Output:
	// to a@example.com
	// to b@example.com
	// to c@example.com
}

// Allow is for what is dropped rather than sent late.
func ExampleLimiter_Allow() {
	limit := ratelimit.MustNew("samples", 0.001, ratelimit.WithBurst(2))
	for i := range 5 {
		if limit.Allow() {
			fmt.Println("sample", i)
		}
	}
	// Output:
	// sample 0
	// sample 1
}
