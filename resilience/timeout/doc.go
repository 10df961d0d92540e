// Package timeout bounds how long an operation may take.
//
//	limit := timeout.MustNew("inventory", 2*time.Second)
//	item, err := timeout.DoValue(ctx, limit, func(ctx context.Context) (Item, error) {
//		return inventory.Get(ctx, id) // ctx ends after 2 s
//	})
//
// Outside of a retry a timeout bounds the call with all its attempts and waits; inside of
// one it bounds each attempt.
//
// The timeout ends the context of the operation, and no more: it never returns before
// the operation did, as nobody can stop what does not listen to its context. What an
// operation hands out and what outlives it, such as a response body, hangs on
// [resilience.Retain].
package timeout
