// Package bulkhead bounds how many calls are under way at a time, so that one slow callee
// does not take all of a service with it.
//
// When a callee becomes slow, calls to it pile up: a thousand calls a second that take ten
// seconds instead of ten milliseconds are ten thousand calls under way instead of ten,
// each with its goroutine, its memory and its connection. Whatever else the service does
// suffers, and the callee gets no rest. A bulkhead lets a fixed number in and refuses the
// others at once. It is shared by everything that calls the same callee:
//
//	inventory := bulkhead.MustNew("inventory", 20, bulkhead.WithQueue(40), bulkhead.WithMaxWait(100*time.Millisecond))
//	item, err := bulkhead.DoValue(ctx, inventory, fetch)
//	if errors.Is(err, bulkhead.ErrFull) {
//		// Nothing was sent.
//	}
//
// Calls beyond the limit may wait in a queue, first come, first served. A call that would
// wait in vain, because its context ends before its turn comes, is refused at once.
//
// The limit may also find itself: [WithAdaptiveLimit] takes one of the algorithms [Vegas]
// and [Gradient2], which infer from the latency of calls how many the callee can bear.
//
// The idea and the name are those of Michael T. Nygard's "Release It!" (Pragmatic
// Bookshelf 2007); the adaptive limits are after Netflix's library concurrency-limits.
package bulkhead
