// Package stack puts the policies that most calls need into the order in which they work:
// one line for each callee.
//
//	orders := stack.MustNew("orders")
//
//	order, err := stack.DoValue(ctx, orders, func(ctx context.Context) (Order, error) {
//		return client.Get(ctx, id)
//	})
//
// Outermost first a [Stack] is
//
//	total timeout       30 s       the caller waits no longer
//	retry               3 retries  with a budget: one for ten calls, one a second
//	throttle            none       if one is given
//	rate limit          none       if one is given: adaptive, or fixed
//	circuit breaker     half of 20 calls in 30 s failed
//	bulkhead            1000 calls at a time
//	attempt timeout     10 s       one attempt takes no longer
//
// Each part is that of its own package, with the defaults of that package; options change
// them, replace them by a part that is shared with others, or leave them out. The parts
// that a stack makes show in telemetry under its name, so that one troubled call can be followed
// through all of them: the attempts, the wait in a queue, the rejection by the breaker.
//
// The same by hand is
//
//	resilience.Chain(total, retries, throttle, limit, breaker, bulkhead, attempt)
//
// which takes any other order and policy. A Stack has fixed places, and in return an untroubled
// call through it allocates nothing.
package stack
