// Package budget caps the retries of a service, so that an outage of what it calls
// does not turn into a storm.
//
// Retries of single calls multiply the load on a callee just when it can bear it
// least: three retries a call are four times the load in an outage. A budget bounds
// the sum. It is shared by every policy and goroutine that sends to one callee:
//
//	retries := budget.MustNew("inventory")
//	get := retry.MustNew("inventory.get", retry.WithBudget(retries))
//	put := retry.MustNew("inventory.put", retry.WithBudget(retries))
//
// By default ten calls allow one retry, each second allows one more, and 100 may be
// kept for a burst. As long as few calls fail nobody notices the budget. In a long
// outage a callee that normally gets 1000 calls a second sees 1.1 times that load in
// place of 4 times, after one burst of at most 100 retries.
//
// The rate of grants is smooth: there is no window that ends, after which every
// caller may retry at once.
//
// The idea of a retry budget is that of Google's "Site Reliability Engineering"
// (O'Reilly 2016, chapter 21, "Handling Overload") and of Finagle's RetryBudget.
package budget
