// Package breaker stops calls to a callee that is in trouble, so that callers fail at
// once in place of waiting, and the callee is left alone until it can answer again.
//
//	orders := breaker.MustNew("orders")
//	order, err := breaker.DoValue(ctx, orders, func(ctx context.Context) (Order, error) {
//		return client.Get(ctx, id)
//	})
//	if errors.Is(err, breaker.ErrOpen) {
//		// The callee was not asked.
//	}
//
// Make one breaker for each callee and share it: it learns from every call. It stands
// inside of a retry, where it sees each attempt:
//
//	policy := resilience.Chain(retries, orders)
//
// # States
//
// A closed breaker lets calls pass and counts their results. When too many of them fail,
// it opens: calls are rejected with an [*OpenError]. After its open time it is half-open
// and lets a few calls pass as probes. If they all succeed it closes; if one fails it
// opens again.
//
// What decides is set by options: [WithFailureRatio], [WithConsecutiveFailures] and
// [WithSlowRatio], over the calls of the last time ([WithTimeWindow]) or the last calls
// ([WithCountWindow]). Without any of them a breaker opens when half of the calls of the
// last 30 seconds failed, at 20 calls or more.
//
// [Breaker.ForceOpen], [Breaker.Disable] and [Breaker.Reset] set the state by hand.
//
// # What counts
//
// The breaker asks the same rules as a retry: see [resilience.Rules]. Of a retry further in
// that gave up it takes the last failure: see [resilience.CalleeError].
//
//   - A retryable failure, such as a timeout or a connection that was refused, counts as a
//     failure, and so does an error that nobody classified, as most errors of most programs
//     are; [WithUnknown] changes that.
//   - A permanent failure counts as a success: the callee answered, be it that there is no
//     such order.
//   - A refusal of another policy, a call that left a queue as its context ended, one that
//     the caller cancelled and errors of [WithIgnored] count as neither, and free the probe
//     that they were.
//
// A panic counts as a failure.
//
// The pattern is that of Michael Nygard, "Release It!" (Pragmatic Bookshelf 2007).
package breaker
