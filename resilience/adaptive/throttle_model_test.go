package adaptive_test

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience/adaptive"
)

// skipUnderRace skips a simulation in one goroutine, of which the race detector makes a
// long one.
func skipUnderRace(t *testing.T) {
	t.Helper()
	if raceEnabled {
		t.Skip("nothing here can race")
	}
}

// run sends perSecond calls a second for so long to a callee that accepts as many a second
// as capacity says, and returns how many were sent and accepted.
func run(t *testing.T, throttle *adaptive.Throttle, c *fakeClock, perSecond int, capacity float64, d time.Duration) (sent, accepted float64) {
	t.Helper()
	tokens := 0.0
	for range int(d.Seconds() * float64(perSecond)) {
		c.pass(time.Second / time.Duration(perSecond))
		tokens = min(tokens+capacity/float64(perSecond), max(1, capacity)) // it queues a second's worth
		_ = throttle.Do(t.Context(), func(context.Context) error {
			sent++
			if tokens < 1 {
				return errRetryable
			}
			tokens--
			accepted++
			return nil
		})
	}
	return sent, accepted
}

// With r requests a second r * (K*accepts + 1) / (requests + 1) are sent: K times what is
// accepted. A callee that can do a tenth of what is asked of it is kept busy all the same.
func TestSentIsMultipleOfAccepted(t *testing.T) {
	t.Parallel()
	skipUnderRace(t)
	const perSecond, capacity, span = 100, 10, 20 * time.Second
	for _, k := range []float64{1.1, 1.5, 2, 4, 8} {
		for seed := range uint64(2) {
			c := chanceClock(seed)
			throttle := adaptive.MustNewThrottle("t", adaptive.WithClock(c), adaptive.WithWindow(span), adaptive.WithMultiplier(k))
			_, _ = run(t, throttle, c, perSecond, math.Inf(1), span)
			assert.Zero(t, throttle.Probability())
			_, _ = run(t, throttle, c, perSecond, capacity, 3*span)
			sent, accepted := run(t, throttle, c, perSecond, capacity, 10*span)
			assert.InEpsilon(t, k*accepted, sent, 0.05, "K %v, seed %d", k, seed)
			assert.GreaterOrEqual(t, accepted, 0.8*capacity*10*span.Seconds(), "K %v, seed %d", k, seed)
		}
	}
}

// A callee that accepts each call with the chance a is left alone if a > 1/K, and gets
// almost nothing if a < 1/K: every call sent is K*a to come.
func TestThreshold(t *testing.T) {
	t.Parallel()
	skipUnderRace(t)
	const span = 20 * time.Second
	for _, k := range []float64{1.25, 2, 5} {
		for above, a := range map[bool]float64{true: 1.15 / k, false: 0.7 / k} {
			c := chanceClock(7)
			throttle := adaptive.MustNewThrottle("t", adaptive.WithClock(c), adaptive.WithWindow(span), adaptive.WithMultiplier(k))
			calls, sent := 0, 0
			for i := range 100 * 20 * 20 { // 20 windows
				c.pass(10 * time.Millisecond)
				_ = throttle.Do(t.Context(), func(context.Context) error {
					if i >= 100*20*10 {
						sent++
					}
					if calls++; c.random() < a {
						return nil
					}
					return errRetryable
				})
			}
			part := float64(sent) / (100 * 20 * 10)
			if above {
				assert.Greater(t, part, 0.99, "K %v", k)
			} else {
				assert.Less(t, part, 0.03, "K %v", k)
			}
		}
	}
}

// If nothing is accepted the i-th call is sent with the probability 1 - (i-1)/i = 1/i, so
// that of n calls 1 + 1/2 + ... + 1/n are sent; and when the window is full about one in a
// window.
func TestNothingIsAccepted(t *testing.T) {
	t.Parallel()
	skipUnderRace(t)
	const n, runs = 1000, 100
	harmonic, total := 0.0, 0.0
	for i := range n {
		harmonic += 1 / float64(i+1)
	}
	for seed := range uint64(runs) {
		c := chanceClock(seed)
		throttle := adaptive.MustNewThrottle("t", adaptive.WithClock(c))
		sent, _ := run(t, throttle, c, 1000, 0, time.Second)
		total += sent
	}
	assert.InDelta(t, harmonic, total/runs, 0.7, "7.49 in 1000, with a deviation of 2.42 / sqrt(100)")

	const windows = 100
	c := chanceClock(1)
	throttle := adaptive.MustNewThrottle("t", adaptive.WithClock(c), adaptive.WithWindow(10*time.Second))
	_, _ = run(t, throttle, c, 50, 0, 20*time.Second)
	sent, _ := run(t, throttle, c, 50, 0, windows*10*time.Second)
	assert.InDelta(t, windows, sent, 40, "four deviations")
}

// After an outage of a whole window what is sent grows by e^(1.594 t/T): with accepts A in
// the window T and the calls sent s = K*A/T it grows by e^(x t/T) where x = K * (1 - e^-x),
// and K is 2.
func TestRecovery(t *testing.T) {
	t.Parallel()
	skipUnderRace(t)
	const perSecond, span, runs = 100, 10 * time.Second, 20
	total := 0.0
	for seed := range uint64(runs) {
		c := chanceClock(seed)
		throttle := adaptive.MustNewThrottle("t", adaptive.WithClock(c), adaptive.WithWindow(span))
		_, _ = run(t, throttle, c, perSecond, 0, 2*span)
		began := c.now
		for throttle.Probability() > 0.01 {
			_, _ = run(t, throttle, c, perSecond, math.Inf(1), time.Second)
			require.Less(t, c.now.Sub(began), 30*span, "seed %d", seed)
		}
		total += c.now.Sub(began).Seconds() / span.Seconds()
	}
	t.Logf("%.2f windows", total/runs)
	assert.InDelta(t, math.Log(perSecond*10)/1.594, total/runs, 1.5)
}
