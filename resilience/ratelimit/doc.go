// Package ratelimit bounds how many calls are sent in a time, so that a service keeps to
// what it has agreed with a callee, or to what the callee is known to bear.
//
//	inventory := ratelimit.MustNew("inventory", 50, ratelimit.WithBurst(10), ratelimit.WithMaxWait(200*time.Millisecond))
//	item, err := ratelimit.DoValue(ctx, inventory, fetch)
//	if errors.Is(err, ratelimit.ErrRate) {
//		// Nothing was sent.
//	}
//
// In every window of t seconds at most burst + rate * t calls get their turn, whatever the
// interleaving of the goroutines that share the limit: there is no window that ends, after
// which everybody may send at once.
//
// A call that is too early is refused at once, with the exact time of its turn, or waits
// for its turn if [WithMaxWait] allows it. Turns are given in the order of arrival. A call
// whose turn comes too late for its context is refused at once and takes no turn.
//
// Inside of a retry the limit counts attempts, which is what the callee sees. One limit is
// shared by everything that calls the same callee.
//
// The algorithm is the generic cell rate algorithm of Recommendation ITU-T I.371, in the
// form of virtual scheduling: its whole state is one time, in one atomic word.
package ratelimit
