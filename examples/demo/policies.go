package main

import (
	"sync/atomic"
	"time"

	"github.com/observable-go/toolkit/resilience/breaker"
	"github.com/observable-go/toolkit/resilience/budget"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/stack"
)

// policies are what the calls of one callee share, all operations and goroutines alike: a stack,
// as docs/composition.md recommends it. Outermost first it has a timeout for the whole call,
// retries that a budget bounds, a breaker, a bulkhead and a timeout for each attempt.
type policies struct {
	stack  *stack.Stack
	budget *switchedBudget
}

// newPolicies returns the policies for the callee of that name, which is theirs in telemetry too.
func newPolicies(callee string, s *signals, attempt time.Duration, changed func(breaker.Change)) (*policies, error) {
	// One retry for ten calls and one more a second are the defaults. A burst of 20 is plenty
	// for 50 calls a second, and used up soon enough to be watched.
	retries, err := budget.New(callee, budget.WithBurst(20), budget.WithTelemetry(s.toolkit()...))
	if err != nil {
		return nil, err
	}
	p := &policies{budget: &switchedBudget{Budget: retries}}
	p.stack, err = stack.New(callee,
		stack.WithTimeout(callTimeout(attempt)),
		stack.WithAttemptTimeout(attempt),
		// 3 retries, the default, with delays that suit a shopper who waits.
		stack.WithRetry(retry.WithInitialDelay(50*time.Millisecond), retry.WithMaxDelay(time.Second)),
		stack.WithBudget(p.budget),
		// Half of the calls failed is the default. Windows and waits are shorter, to be watched.
		stack.WithBreakerOptions(breaker.WithTimeWindow(5*time.Second), breaker.WithOpenTime(3*time.Second),
			breaker.WithOnStateChange(changed)),
		stack.WithBulkheadLimit(200),
		stack.WithTelemetry(s.toolkit()...),
	)
	return p, err
}

// callTimeout is how long a call may take: four attempts and the waits between them.
func callTimeout(attempt time.Duration) time.Duration { return 4*attempt + 1400*time.Millisecond }

// setBreaker switches the breaker on or off.
func (p *policies) setBreaker(on bool) {
	if on {
		p.stack.Breaker().Reset()
	} else {
		p.stack.Breaker().Disable()
	}
}

// A switchedBudget is a budget that can be switched off, which no service should do: then it
// grants every retry. It is here to show what comes of that.
type switchedBudget struct {
	*budget.Budget

	off atomic.Bool
}

// Withdraw implements [resilience.Budget].
func (b *switchedBudget) Withdraw() bool { return b.off.Load() || b.Budget.Withdraw() }

// Refund implements [resilience.Budget].
func (b *switchedBudget) Refund() {
	if !b.off.Load() {
		b.Budget.Refund()
	}
}
