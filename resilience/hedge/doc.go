// Package hedge cuts the slowest answers of a callee: when an operation takes longer than
// it usually does, a second copy of it is started, and the first answer is taken.
//
//	var search = hedge.MustNew("search.query")
//
//	hits, err := hedge.DoValue(ctx, search, func(ctx context.Context) ([]Hit, error) {
//		return index.Query(ctx, words)
//	}, nil)
//
// It helps where slowness is a matter of luck: of the replica that was asked, a queue, a
// pause of a garbage collector. Where a request is slow because of what it asks for, each
// of its copies is as slow as the first. By default one call in twenty is hedged, whatever
// the callee's latency is and becomes: the delay before the second copy follows it, and where
// it lags behind, no more than 60 copies are sent beyond that share.
//
// # What an operation must bear
//
// Its copies run at the same time, each in a goroutine of its own and with a value of its
// own. A variable of the caller that an operation writes to is written by several
// goroutines at once: that is a race, and mixes the copies' values. This is why a Hedge is
// no [resilience.Policy], whose operations hand out what they found by such variables.
//
// An operation that changes something may change it twice. Hedge what only reads, or what
// the callee makes idempotent by a key.
//
// An operation must return soon after its context is done: this is how the copies that lost
// are ended. DoValue does not wait for them.
//
// # Resources
//
// A value that must be closed, such as a response, is lost with its copy unless somebody
// closes it. The function discard is given what a copy that lost brings in the end:
//
//	resp, err := hedge.DoValue(ctx, h, get, func(resp *http.Response) { resp.Body.Close() })
//
// [DoValue] says how long the context of the copy that won lives.
//
// # Failures
//
// Hedging is for latency, and retrying for failures: no copy is started because another
// failed. Put the hedge inside of the retry, so that each attempt is hedged:
//
//	get := hedge.Wrap(h, fetch, nil)
//	item, err := retry.DoValue(ctx, policy, get)
//
// Hedged requests are described by Dean and Barroso, "The Tail at Scale", Communications of
// the ACM 56(2), 2013.
package hedge
