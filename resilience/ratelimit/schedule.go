package ratelimit

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// A schedule is the generic cell rate algorithm at one rate. Its state is the theoretical
// arrival time, at which the next call would come if all came at the rate without a
// pause. A call may come earlier by the tolerance at most, and moves the theoretical
// arrival time on by the interval: from itself, or from now if that is later.
//
// Seen as a bucket of tokens, the theoretical arrival time is when the bucket will be full.
//
// All times are since the epoch of the limiter.
type schedule struct {
	rate      float64
	interval  time.Duration // between calls in the long run
	tolerance time.Duration // (burst - 1) * interval
	// horizon is how far ahead of the clock the theoretical arrival time can be: where it is
	// when the burst is used up and calls wait for as long as they may. If it is further the
	// clock has stepped back.
	horizon time.Duration
	arrival atomic.Int64 // the theoretical arrival time, or replaced
}

// replaced stands in place of the theoretical arrival time of a schedule that is out of use.
const replaced = math.MaxInt64

// intervalOf returns the time between calls, the shortest whole number of nanoseconds in
// which the rate gives a call. It is exact: the product is not rounded before it is compared.
func intervalOf(rate float64) time.Duration {
	interval := math.Ceil(float64(time.Second) / rate)
	if math.FMA(interval, rate, -float64(time.Second)) < 0 {
		interval++ // the quotient was rounded down to a whole number
	}
	return time.Duration(interval)
}

func newSchedule(rate float64, burst int, maxWait time.Duration) *schedule {
	interval := intervalOf(rate)
	tolerance := time.Duration(burst-1) * interval
	return &schedule{rate: rate, interval: interval, tolerance: tolerance, horizon: tolerance + interval + maxWait}
}

// empty returns how far ahead of the clock the theoretical arrival time is when a call has
// just used up the burst.
func (s *schedule) empty() time.Duration { return s.tolerance + s.interval }

// continueFrom lets the new schedule s go on from old, whose theoretical arrival time was
// arrival. What is left of the burst stays the same in calls, rounded down. If calls wait
// for their turn they keep it, and s begins, with nothing left of the burst, at the last of
// these turns.
func (s *schedule) continueFrom(old *schedule, arrival, now time.Duration) {
	ahead := min(arrival-now, old.horizon) // it is less unless the clock has stepped back
	switch {
	case ahead > old.empty():
		ahead += s.empty() - old.empty()
	case ahead > 0:
		ahead = scale(ahead, s.interval, old.interval)
	}
	s.arrival.Store(int64(now + ahead))
}

// scale returns d * to / from, rounded up. All are positive, and d is no more than the time
// to give a burst at intervals of from, so that the result is no more than maxRefill.
func scale(d, to, from time.Duration) time.Duration {
	hi, lo := bits.Mul64(uint64(d), uint64(to))      //nolint:gosec // as above
	scaled, rest := bits.Div64(hi, lo, uint64(from)) //nolint:gosec // as above
	if rest > 0 {
		scaled++
	}
	return time.Duration(scaled) //nolint:gosec // as above
}

// A turn is when a call may be sent.
type turn struct {
	schedule *schedule     // that gave it
	arrival  time.Duration // the theoretical arrival time after the call
	now      time.Duration // when the turn was given, or not given
	wait     time.Duration // from then until the turn
}
