package breaker

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/observable-go/toolkit/internal/window"
)

// An epoch is the time that a breaker spends in one state. Each change of the state begins
// a new one with counts of its own, and a call belongs to the epoch that let it pass. So a
// result that comes late counts in an epoch that nobody asks any more, and a closed breaker
// needs no lock: to begin an epoch is to replace a pointer.
//
// Times are since the breaker was made.
type epoch struct {
	state State
	// failedProbes is how many times in a row the probes have failed.
	failedProbes int

	closed   closedEpoch
	openFor  time.Duration // in state Open
	until    time.Duration // in state Open
	halfOpen halfOpenEpoch
	// ifItFails is about how long the breaker will be open if a probe fails, in state HalfOpen.
	ifItFails time.Duration
}

// closedEpoch is what a closed breaker counts.
type closedEpoch struct {
	byTime      *window.Time // or
	byCalls     *window.Last
	consecutive atomic.Int64 // failures
	// troubled is when a call last failed or was slow. As long as that is not in the window
	// no ratio can have been reached.
	troubled atomic.Int64
}

const never = math.MinInt64

// timeBuckets is in how many steps a time window forgets.
const timeBuckets = 10

// add counts a result.
func (c *closedEpoch) add(now time.Duration, failed, slow bool) {
	if failed || slow {
		c.troubled.Store(int64(now))
	}
	if c.byCalls != nil {
		c.byCalls.Add(failed, slow)
	} else {
		c.byTime.Add(now, window.Counts{Calls: 1, Failures: one(failed), Slow: one(slow)})
	}
	if failed {
		c.consecutive.Add(1)
	} else if c.consecutive.Load() != 0 {
		c.consecutive.Store(0)
	}
}

func one(is bool) int64 {
	if is {
		return 1
	}
	return 0
}

func (c *closedEpoch) counts(now time.Duration) Counts {
	if c.byCalls != nil {
		return c.with(c.byCalls.Sum())
	}
	return c.with(c.byTime.Sum(now))
}

// recount is counts by a look at every call, which sums that others change meanwhile are not:
// what a breaker opens for should have been.
func (c *closedEpoch) recount(now time.Duration) Counts {
	if c.byCalls != nil {
		return c.with(c.byCalls.Recount())
	}
	return c.counts(now)
}

func (c *closedEpoch) with(sum window.Counts) Counts {
	return Counts{sum.Calls, sum.Failures, sum.Slow, c.consecutive.Load()}
}

// halfOpenEpoch is what a half-open breaker counts. Probes are those under way and those
// that succeeded: what ends as neither success nor failure leaves.
type halfOpenEpoch struct {
	probes    atomic.Int64
	succeeded atomic.Int64
	failed    atomic.Int64
	slow      atomic.Int64
	last      atomic.Int64 // when the last probe began
}

// takeProbe admits one more probe unless there are limit of them.
func (h *halfOpenEpoch) takeProbe(now time.Duration, limit int64) bool {
	for {
		n := h.probes.Load()
		if n >= limit {
			return false
		}
		h.last.Store(int64(now)) // first, so that nobody sees all probes taken and an old time
		if h.probes.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (h *halfOpenEpoch) counts() Counts {
	failed, succeeded := h.failed.Load(), h.succeeded.Load()
	return Counts{Calls: failed + succeeded, Failures: failed, Slow: h.slow.Load(), ConsecutiveFailures: failed}
}

// counts returns what the epoch has counted.
func (e *epoch) counts(now time.Duration) Counts {
	switch e.state {
	case Closed:
		return e.closed.counts(now)
	case HalfOpen:
		return e.halfOpen.counts()
	default:
		return Counts{}
	}
}

// newEpoch returns an epoch that begins now.
func (b *Breaker) newEpoch(state State, failedProbes int, now time.Duration) *epoch {
	e := &epoch{state: state, failedProbes: failedProbes}
	switch state {
	case Closed:
		e.closed.troubled.Store(never)
		if b.countWindow > 0 {
			e.closed.byCalls = window.NewLast(b.countWindow)
		} else {
			e.closed.byTime = window.NewTime(b.timeWindow, timeBuckets)
		}
	case Open:
		e.openFor = b.openTime(failedProbes)
		e.until = now + min(e.openFor, math.MaxInt64-max(now, 0))
	case HalfOpen:
		e.halfOpen.last.Store(int64(now))
		e.ifItFails = b.openTime(failedProbes + 1)
	default:
	}
	return e
}
