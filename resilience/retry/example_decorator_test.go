package retry_test

import (
	"context"
	"fmt"
	"strings"
	"syscall"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retry"
)

// Wrap decorates a function: callers do not see the policy.
func ExampleWrap() {
	policy := retry.MustNew("motd.get", retry.WithInitialDelay(0))

	calls := 0
	messageOfTheDay := retry.Wrap(policy, func(ctx context.Context) (string, error) {
		if calls++; calls == 1 {
			return "", syscall.ECONNREFUSED
		}
		return "All is well.", nil
	})

	fmt.Println(messageOfTheDay(context.Background()))
	// Output: All is well. <nil>
}

// A function with an argument is decorated by resilience.Wrap1.
func ExampleWrap_argument() {
	policy := retry.MustNew("shout", retry.WithInitialDelay(0))

	calls := 0
	shout := resilience.Wrap1(policy, func(ctx context.Context, text string) (string, error) {
		if calls++; calls == 1 {
			return "", syscall.ECONNREFUSED
		}
		return strings.ToUpper(text), nil
	})

	fmt.Println(shout(context.Background(), "ready"))
	// Output: READY <nil>
}
