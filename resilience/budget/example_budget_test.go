package budget_test

import (
	"fmt"

	"github.com/observable-go/toolkit/resilience/budget"
)

// A retry policy does what this example does by hand: it deposits for every call and
// withdraws for every retry. A floor of 0 only keeps time out of the example.
func Example() {
	b := budget.MustNew("inventory", budget.WithRatio(0.1), budget.WithFloor(0), budget.WithBurst(3))

	granted := 0
	for range 100 {
		b.Deposit() // a call is about to be sent
		if b.Withdraw() {
			granted++ // a retry may be sent
		}
	}
	fmt.Println(granted, "retries for 100 calls")
	// Output: 12 retries for 100 calls
}

// Tokens is a live view of what a budget would grant. The same number is the metric
// resilience.budget.tokens.
func ExampleBudget_Tokens() {
	b := budget.MustNew("inventory", budget.WithRatio(0.5), budget.WithFloor(0), budget.WithBurst(10))
	show := func() { fmt.Printf("%.1f of %.0f\n", b.Tokens(), b.Capacity()) }

	show()
	for range 10 {
		b.Withdraw()
	}
	show()
	b.Deposit()
	show()
	b.Refund() // of a retry that was granted and never sent
	show()
	// Output:
	// 10.0 of 10
	// 0.0 of 10
	// 0.5 of 10
	// 1.5 of 10
}
