package backoff_test

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/observable-go/toolkit/resilience/backoff"
)

// A delay is a matter of arithmetic: the number of the retry, from 0, and chance.
func ExampleExponential() {
	b := backoff.Exponential{
		Initial: time.Second,
		Max:     30 * time.Second,
		Base:    2,
		Jitter:  backoff.NoJitter,
	}
	for n := range 6 {
		fmt.Println(n, b.Delay(n, 0, 0))
	}
	// Output:
	// 0 1s
	// 1 2s
	// 2 4s
	// 3 8s
	// 4 16s
	// 5 30s
}

// With jitter a delay is drawn by chance. A test passes what it wants to be drawn.
func ExampleExponential_jitter() {
	b := backoff.Exponential{Initial: time.Second, Max: time.Minute} // full jitter

	fmt.Println(b.Delay(3, 0, 0.25))
	fmt.Println(b.Delay(3, 0, 0.75))
	d := b.Delay(3, 0, rand.Float64())
	fmt.Println(0 <= d && d < 8*time.Second)
	// Output:
	// 2s
	// 6s
	// true
}

// The forms of a backoff differ in how fast they grow.
func ExampleBackoff() {
	const none = backoff.NoJitter
	for _, b := range []backoff.Backoff{
		backoff.Constant{Interval: time.Second, Jitter: none},
		backoff.Linear{Initial: time.Second, Step: 2 * time.Second, Jitter: none},
		backoff.Fibonacci{Initial: time.Second, Jitter: none},
		backoff.Exponential{Initial: time.Second, Base: 3, Jitter: none},
	} {
		fmt.Printf("%T:", b)
		for n := range 5 {
			fmt.Print(" ", b.Delay(n, 0, 0))
		}
		fmt.Println()
	}
	// Output:
	// backoff.Constant: 1s 1s 1s 1s 1s
	// backoff.Linear: 1s 3s 5s 7s 9s
	// backoff.Fibonacci: 1s 1s 2s 3s 5s
	// backoff.Exponential: 1s 3s 9s 27s 1m21s
}

// A decorrelated delay depends on the delay before it.
func ExampleDecorrelated() {
	b := backoff.Decorrelated{Initial: time.Second, Max: 10 * time.Second}
	var d time.Duration
	for n := range 4 {
		d = b.Delay(n, d, 0.5) // in use: rand.Float64()
		fmt.Println(d)
	}
	// Output:
	// 1s
	// 2s
	// 3.5s
	// 5.75s
}

// Any function is a backoff.
func ExampleFunc() {
	onTheHour := backoff.Func(func(n int, prev time.Duration, u float64) time.Duration {
		return time.Duration(n+1) * time.Hour
	})
	fmt.Println(onTheHour.Delay(0, 0, 0), onTheHour.Delay(1, 0, 0))
	// Output: 1h0m0s 2h0m0s
}

// A jitter can be applied to a delay from elsewhere.
func ExampleJitter() {
	for _, j := range []backoff.Jitter{
		backoff.FullJitter, backoff.EqualJitter, backoff.PlusMinus(20), backoff.NoJitter,
	} {
		fmt.Println(j, j.Apply(10*time.Second, 0), j.Apply(10*time.Second, 0.5))
	}
	// Output:
	// full 0s 5s
	// equal 5s 7.5s
	// plus_minus_20 8s 10s
	// none 10s 10s
}
