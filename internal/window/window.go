// Package window counts what happened lately: over the last calls or over the last
// span of time. Counting takes no lock, so that it may stand on the way of every call.
// Time comes in as an argument.
package window

import (
	"sync/atomic"
	"time"
)

// Counts are what a window counts. Failures and Slow are among Calls.
type Counts struct{ Calls, Failures, Slow int64 }

// Plus returns the sums of c and d.
func (c Counts) Plus(d Counts) Counts {
	return Counts{c.Calls + d.Calls, c.Failures + d.Failures, c.Slow + d.Slow}
}

// cell is Counts that many goroutines add to.
type cell struct{ calls, failures, slow atomic.Int64 }

func (c *cell) add(n Counts) {
	c.calls.Add(n.Calls)
	if n.Failures != 0 {
		c.failures.Add(n.Failures)
	}
	if n.Slow != 0 {
		c.slow.Add(n.Slow)
	}
}

// load reads calls last, so that what is counted meanwhile shows as a call rather than
// as a failure without one.
func (c *cell) load() (n Counts) {
	n.Failures, n.Slow = c.failures.Load(), c.slow.Load()
	n.Calls = c.calls.Load()
	return n
}

// A Time counts over the last span of time. It forgets in steps of a bucket: what it
// sums up is between the last span less one bucket and the last span. It is safe for use
// by several goroutines at once.
//
// A bucket is allocated whenever one begins in which something is counted, and never
// used again, so whoever is late adds to a bucket that nobody reads any more.
type Time struct {
	width   time.Duration
	buckets []atomic.Pointer[bucket]
}

type bucket struct {
	number int64 // time / width
	cell
}

// NewTime returns a window over span in that many buckets. Both must be positive, and
// span at least as many nanoseconds as there are buckets.
func NewTime(span time.Duration, buckets int) *Time {
	return &Time{width: span / time.Duration(buckets), buckets: make([]atomic.Pointer[bucket], buckets)}
}

// Add counts n at the time now, in time since an epoch that the caller keeps. Of a time
// before the epoch it counts nothing.
func (w *Time) Add(now time.Duration, n Counts) {
	number := int64(now / w.width)
	if now < 0 {
		return
	}
	slot := &w.buckets[number%int64(len(w.buckets))]
	for {
		b := slot.Load()
		switch {
		case b != nil && b.number == number:
			b.add(n)
			return
		case b != nil && b.number > number:
			return // the caller is a whole window late
		}
		next := &bucket{number: number}
		next.add(n)
		if slot.CompareAndSwap(b, next) {
			return
		}
	}
}

// Sum returns what was counted in the span that ends now.
func (w *Time) Sum(now time.Duration) (sum Counts) {
	number := int64(now / w.width)
	for i := range w.buckets {
		if b := w.buckets[i].Load(); b != nil && b.number > number-int64(len(w.buckets)) {
			sum = sum.Plus(b.load())
		}
	}
	return sum
}

// A Last counts over the last calls. It is safe for use by several goroutines at once.
type Last struct {
	next  atomic.Uint64
	calls []atomic.Uint32 // a ring
	sum   cell
}

// What a call in the ring was: nothing yet, or a call that may have failed or been slow.
const (
	counted = 1 << iota
	failed
	slow
)

// NewLast returns a window over that many calls, which must be positive.
func NewLast(calls int) *Last { return &Last{calls: make([]atomic.Uint32, calls)} }

// Add counts one call, in place of the oldest if the window is full.
func (w *Last) Add(isFailed, isSlow bool) {
	bits := uint32(counted)
	if isFailed {
		bits |= failed
	}
	if isSlow {
		bits |= slow
	}
	// Each swap takes out what another put in, so the sums stay exact whatever the
	// interleaving.
	i := w.next.Add(1) - 1 // which lasts for 2^64 calls
	was := w.calls[i%uint64(len(w.calls))].Swap(bits)
	if was != bits {
		w.sum.add(countsOf(bits).Plus(countsOf(was).negative()))
	}
}

// Sum returns what was counted of the last calls. While others count it may be off by as
// many calls as they are at.
func (w *Last) Sum() Counts {
	n := w.sum.load()
	n.Calls = max(n.Calls, 0)
	n.Failures = min(max(n.Failures, 0), n.Calls)
	n.Slow = min(max(n.Slow, 0), n.Calls)
	return n
}

// Recount is Sum by a look at every call of the window.
func (w *Last) Recount() (n Counts) {
	for i := range w.calls {
		n = n.Plus(countsOf(w.calls[i].Load()))
	}
	return n
}

func countsOf(bits uint32) Counts {
	return Counts{Calls: int64(bits & counted), Failures: int64(bits & failed / failed), Slow: int64(bits & slow / slow)}
}

func (c Counts) negative() Counts { return Counts{-c.Calls, -c.Failures, -c.Slow} }
