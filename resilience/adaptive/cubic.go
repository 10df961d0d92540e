package adaptive

import (
	"math"
	"time"
)

// The constants of the rate limiter of the AWS SDKs. It shares beta and scale with CUBIC as
// in RFC 9438, sections 4.1 and 4.6.
const (
	smooth      = 0.8                    // the weight of the newest measurement
	beta        = 0.7                    // what a throttling answer leaves of the rate
	scale       = 0.4                    // how fast the rate grows again, in calls/s per s^3
	minRate     = 0.5                    // calls/s
	minCapacity = 1.0                    // calls
	headroom    = 2.0                    // how far the rate may lie above the one measured, as a factor
	measurement = 500 * time.Millisecond // the span of one measurement of the rate
)

// cubic is the arithmetic of a [RateLimiter]: a token bucket whose rate is set by CUBIC.
// Time is passed in, as what has passed since an epoch of the caller's choice. Who waits, and
// how, is the caller's concern too. It is for one goroutine at a time.
type cubic struct {
	limited bool // a throttling answer was seen

	// How calls are measured.
	measured    float64 // calls/s
	measurement int64   // the number of the current measurement: the time since the epoch by its span

	// Where the rate was and where it goes.
	lastMax      float64 // the rate at the last throttling answer
	lastThrottle time.Duration

	// The token bucket.
	rate     float64 // tokens/s
	capacity float64
	tokens   float64
	refilled time.Duration // the time for which tokens is right
}

// measurementOf returns the number of the measurement that is under way at now.
func measurementOf(now time.Duration) int64 { return int64(now / measurement) }

// measure ends the current measurement if it is over at now: calls is how many were counted
// in it, including the one that shows that it is over. It reports whether it was over.
func (c *cubic) measure(now time.Duration, calls int64) bool {
	current := measurementOf(now)
	if current <= c.measurement {
		return false
	}
	span := float64(current-c.measurement) * measurement.Seconds()
	c.measured = smooth*float64(calls)/span + (1-smooth)*c.measured
	c.measurement = current
	return true
}

// throttled notes an answer that asked for less.
func (c *cubic) throttled(now time.Duration) {
	rate := c.measured
	if c.limited {
		rate = min(rate, c.rate)
	}
	c.setRate(now, c.shrink(now, rate))
	if !c.limited { // nobody has taken tokens so far
		c.limited, c.tokens = true, c.capacity
	}
}

// succeeded notes any other answer.
func (c *cubic) succeeded(now time.Duration) { c.setRate(now, c.grow(now)) }

// shrink returns what is left of a rate at which the callee throttled, and remembers it as
// the one to return to.
func (c *cubic) shrink(now time.Duration, rate float64) float64 {
	c.lastMax, c.lastThrottle = rate, now
	return beta * rate
}

// grow returns the rate that is due at now: it rises from beta * lastMax to lastMax, slower
// the closer it comes, and beyond it faster and faster, to look for more.
func (c *cubic) grow(now time.Duration) float64 {
	t := max(now-c.lastThrottle, 0).Seconds() - c.plateau()
	return scale*t*t*t + c.lastMax
}

// plateau returns how many seconds after a throttling answer the rate is at lastMax again.
func (c *cubic) plateau() float64 { return math.Cbrt(c.lastMax * (1 - beta) / scale) }

// setRate changes the rate to the one wanted, within its bounds.
func (c *cubic) setRate(now time.Duration, wanted float64) {
	c.refill(now) // what has come in so far came in at the old rate
	wanted = min(wanted, headroom*c.measured)
	c.rate = max(wanted, minRate)
	c.capacity = max(wanted, minCapacity)
	c.tokens = min(c.tokens, c.capacity)
}

func (c *cubic) refill(now time.Duration) {
	if passed := now - c.refilled; passed > 0 {
		c.tokens = min(c.tokens+passed.Seconds()*c.rate, c.capacity)
		c.refilled = now
	}
}

// take takes a token and reports whether there was one.
func (c *cubic) take(now time.Duration) bool {
	c.refill(now)
	if c.tokens < 1-tolerance {
		return false
	}
	c.tokens = max(c.tokens-1, 0)
	return true
}

// tolerance is what rounding may take of a token for which a call has waited. It is less
// than what comes in within a nanosecond at a rate of ten calls a second.
const tolerance = 1e-9

// wait returns how long it takes from now on, at the rate of now, until there are n tokens if
// nobody takes any: the wait of the n-th in a queue. It is 0 if they are there.
func (c *cubic) wait(now time.Duration, n int) time.Duration {
	c.refill(now)
	missing := float64(n) - c.tokens
	if missing <= tolerance {
		return 0
	}
	return saturate(math.Ceil(missing / c.rate * float64(time.Second)))
}

// saturate converts nanoseconds to a Duration: what is too long becomes the longest.
func saturate(nanoseconds float64) time.Duration {
	if nanoseconds < math.MaxInt64 {
		return time.Duration(nanoseconds)
	}
	return math.MaxInt64
}
