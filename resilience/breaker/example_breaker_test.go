package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/breaker"
)

// A breaker is made once for each callee and shared by all calls of it.
func Example() {
	orders := breaker.MustNew("orders", breaker.WithConsecutiveFailures(3))

	asked := 0
	get := func(ctx context.Context) (string, error) {
		asked++
		return "", syscall.ECONNREFUSED
	}
	for range 5 {
		_, err := breaker.DoValue(context.Background(), orders, get)
		fmt.Println(err)
	}
	fmt.Println("asked", asked, "times; the breaker is", orders.State())
	// Output:
	// connection refused
	// connection refused
	// connection refused
	// orders: the circuit breaker is open, try again in 5s
	// orders: the circuit breaker is open, try again in 5s
	// asked 3 times; the breaker is open
}

// A stream is no function: Allow and Done are the two halves of a call.
func ExampleBreaker_Allow() {
	events := breaker.MustNew("events")

	permit, err := events.Allow(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	err = errors.New("the stream broke")
	permit.Done(err)
	fmt.Println(events.Counts().Failures, "failure")
	// Output: 1 failure
}

// What is an ordinary answer to you is none of the breaker's business.
func ExampleWithIgnored() {
	errSoldOut := errors.New("sold out")
	tickets := breaker.MustNew("tickets",
		breaker.WithIgnored(resilience.MatchIs(errSoldOut)),
		breaker.WithConsecutiveFailures(1),
	)
	_ = tickets.Do(context.Background(), func(context.Context) error { return errSoldOut })
	fmt.Println(tickets.State())
	// Output: closed
}

// A callee that stays down is probed less and less often.
func ExampleWithOpenBackoff() {
	opens := backoff.Exponential{Initial: 5 * time.Second, Max: time.Minute, Jitter: backoff.PlusMinus(10)}
	search := breaker.MustNew("search",
		breaker.WithOpenBackoff(opens),
		breaker.WithOnStateChange(func(c breaker.Change) {
			fmt.Println(c.Name, "went from", c.From, "to", c.To)
		}),
	)
	search.ForceOpen()
	search.Reset()
	// Output:
	// search went from closed to forced_open
	// search went from forced_open to closed
}
