package adaptive_test

import (
	"fmt"
	"time"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/adaptive"
	"github.com/observable-go/toolkit/resilience/backoff"
)

// A retry policy calls Observe for every attempt. This is what comes of it for the first
// retry.
func ExampleDelays() {
	base := backoff.Exponential{Initial: time.Second, Max: time.Minute, Jitter: backoff.NoJitter}
	delays := adaptive.MustNewDelays("inventory", base)
	show := func(when string) {
		fmt.Printf("%-28s %.2f fail, wait %v\n", when, delays.FailureRatio(), delays.Delay(0, 0, 0.5).Round(time.Millisecond))
	}

	show("nothing failed so far")
	for range 16 {
		delays.Observe(resilience.ClassRetryable, false)
	}
	show("16 failures in a row")
	for range 1000 {
		delays.Observe(resilience.ClassRetryable, false)
	}
	show("an outage")
	for range 16 {
		delays.Observe(resilience.ClassUnknown, false) // the class of a success
	}
	show("16 successes after that")
	// Output:
	// nothing failed so far        0.00 fail, wait 500ms
	// 16 failures in a row         0.64 fail, wait 1.908s
	// an outage                    1.00 fail, wait 4s
	// 16 successes after that      0.36 fail, wait 1.048s
}
