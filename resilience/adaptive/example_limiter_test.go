package adaptive_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/adaptive"
)

// A limiter does nothing until the callee throttles. From then on calls wait for their
// turn, or are
// rejected if it would come too late.
func ExampleRateLimiter() {
	limiter := adaptive.MustNewRateLimiter("inventory", adaptive.WithMaxWait(time.Second))
	fmt.Println("allowed:", limiter.Rate(), "calls/s")

	ctx := context.Background()
	_ = limiter.Do(ctx, func(context.Context) error {
		return resilience.RetryAfter(errors.New("too many requests"), time.Second)
	})
	fmt.Println("allowed:", limiter.Rate(), "calls/s")

	for range 2 {
		err := limiter.Do(ctx, func(context.Context) error { return nil })
		if refusal := (*adaptive.RateError)(nil); errors.As(err, &refusal) {
			fmt.Println("rejected, try again in", refusal.After.Round(time.Second))
		} else {
			fmt.Println("sent:", err)
		}
	}
	// Output:
	// allowed: +Inf calls/s
	// allowed: 0.5 calls/s
	// sent: <nil>
	// rejected, try again in 2s
}

// Which errors mean that the callee throttles can be said by a function, beside those that
// say so themselves.
func ExampleWithThrottling() {
	errSlowDown := errors.New("SlowDown")
	limiter := adaptive.MustNewRateLimiter("bucket", adaptive.WithThrottling(func(err error) bool {
		return errors.Is(err, errSlowDown) || resilience.Throttled(err)
	}))
	_ = limiter.Do(context.Background(), func(context.Context) error { return errSlowDown })
	fmt.Println(limiter.Rate(), "calls/s")
	// Output: 0.5 calls/s
}
