package hedge

import (
	"math"
	"sync/atomic"
	"time"
)

// raise is the factor by which one late first copy lengthens the delay. The larger it is,
// the sooner the delay follows a change and the more it wavers without one.
const raise = 1.2

// adaptiveDelay is a delay that a given share of the first copies outlasts: the (1 - share)
// quantile of their latency. It learns from one bit a call, whether the first copy was
// late: the delay had passed before it ended. If it was, the delay is lengthened by a
// factor; if not, it is shortened by one that is smaller by so much that both cancel each
// other out when the stated share is late.
//
// To estimate a quantile in one word by such steps is the frugal streaming of Ma,
// Muthukrishnan and Sandler, "Frugal Streaming for Estimating Quantiles" (2013). Theirs are
// of equal size and taken by chance; steps of unequal size need none, and factors suit
// latencies of any magnitude.
//
// One call at a time measures. If each of many that run at once moved the delay by what
// happened under an older one, it would swing from bound to bound.
type adaptiveDelay struct {
	lo, hi float64 // nanoseconds
	lower  float64 // the factor of a first copy that was in time

	delay     atomic.Int64 // in force, nanoseconds
	measuring atomic.Bool  // a call measures: what stands below is its own

	exact float64 // the delay before it was rounded
	// searching: no first copy was late yet. The delay begins at its upper bound and comes
	// down by large steps, so that the first calls of a program are not all hedged.
	searching bool
}

func newAdaptiveDelay(share float64, lo, hi time.Duration) *adaptiveDelay {
	a := &adaptiveDelay{
		lo: float64(lo), hi: float64(hi), exact: float64(hi), searching: true,
		lower: math.Pow(raise, -share/(1-share)),
	}
	a.delay.Store(int64(hi))
	return a
}

// current returns the delay in force.
func (a *adaptiveDelay) current() time.Duration { return time.Duration(a.delay.Load()) }

// measure reports whether the caller is to measure: to call late, inTime or nothing once.
func (a *adaptiveDelay) measure() bool {
	return !a.measuring.Load() && a.measuring.CompareAndSwap(false, true)
}

// late notes that the delay had passed before the first copy ended.
func (a *adaptiveDelay) late() {
	a.searching = false
	a.change(raise)
}

// inTime notes that the first copy ended before the delay had passed.
func (a *adaptiveDelay) inTime() {
	if a.searching {
		a.change(1 / raise)
		return
	}
	a.change(a.lower)
}

// nothing notes that the call ended otherwise.
func (a *adaptiveDelay) nothing() { a.measuring.Store(false) }

func (a *adaptiveDelay) change(factor float64) {
	// One step beyond the upper bound is remembered. Otherwise of latencies just below the
	// bound every other would be late, as the step up would be cut off and that down not.
	a.exact = min(max(a.exact*factor, a.lo), a.hi*raise)
	a.delay.Store(int64(min(a.exact, a.hi)))
	a.measuring.Store(false)
}
