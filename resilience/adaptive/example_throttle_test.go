package adaptive_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/observable-go/toolkit/resilience/adaptive"
)

// Of a callee that accepts nothing more, a throttle keeps almost all calls away.
func ExampleThrottle() {
	throttle := adaptive.MustNewThrottle("inventory")
	overloaded := func(context.Context) error { return errors.New("overloaded") }

	rejected := 0
	for range 10_000 {
		if err := throttle.Do(context.Background(), overloaded); errors.Is(err, adaptive.ErrThrottled) {
			rejected++
		}
	}
	fmt.Println("more than 99 % rejected:", rejected > 9_900)
	fmt.Printf("the next one is rejected with a probability of %.4f\n", throttle.Probability())
	// Output:
	// more than 99 % rejected: true
	// the next one is rejected with a probability of 0.9999
}

// What is no function call, such as a stream, asks first and tells later what came of it.
func ExampleThrottle_Allow() {
	throttle := adaptive.MustNewThrottle("inventory")
	permit, err := throttle.Allow(context.Background())
	if err != nil {
		return
	}
	err = errors.New("the stream broke")
	permit.Done(err)
	fmt.Println(throttle.Probability())
	// Output: 0.5
}
