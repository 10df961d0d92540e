package adaptive_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/adaptive"
)

var errSlowDown = resilience.RetryAfter(errors.New("slow down"), time.Second)

// callee accepts some calls a second, and answers to others that they should slow down: a
// token bucket that holds a tenth of a second's worth.
type callee struct {
	mu       sync.Mutex
	latency  time.Duration
	capacity float64 // calls/s; 0 is an outage
	tokens   float64
	at       time.Time

	sent, accepted int
}

func (c *callee) call(context.Context) error {
	time.Sleep(c.latency / 2) // the way there
	err := c.answer()
	time.Sleep(c.latency / 2) // and back
	return err
}

func (c *callee) answer() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	c.tokens = min(c.tokens+now.Sub(c.at).Seconds()*c.capacity, max(c.capacity/10, 1))
	c.at = now
	c.sent++
	if c.tokens < 1 {
		return errSlowDown
	}
	c.tokens--
	c.accepted++
	return nil
}

// seconds changes the capacity, lets time pass and returns what came to the callee a
// second.
func (c *callee) seconds(capacity float64, n int) (sent, accepted float64) {
	c.mu.Lock()
	c.capacity, c.sent, c.accepted = capacity, 0, 0
	c.mu.Unlock()
	time.Sleep(time.Duration(n) * time.Second)
	c.mu.Lock()
	defer c.mu.Unlock()
	return float64(c.sent) / float64(max(n, 1)), float64(c.accepted) / float64(max(n, 1))
}

// send makes workers send one call after the other until ctx ends.
func (c *callee) send(ctx context.Context, l *adaptive.RateLimiter, workers int) *sync.WaitGroup {
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for ctx.Err() == nil {
				if errors.Is(l.Do(ctx, c.call), adaptive.ErrRate) {
					time.Sleep(time.Second)
				}
			}
		})
	}
	return &group
}

// With 50 workers that would send 1250 calls a second: the rate finds the capacity, follows
// it down and up, comes to almost nothing in an outage, and no longer limits what is not
// limited.
func TestRateFollowsCapacity(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		l := adaptive.MustNewRateLimiter("l")
		c := &callee{latency: 40 * time.Millisecond, at: time.Now()}
		group := c.send(ctx, l, 50)
		const unlimited = 1e6
		for _, phase := range []struct {
			name              string
			capacity          float64
			settle, seconds   int
			least, most       float64 // sent a second
			leastAcceptedPart float64 // of what is sent
		}{
			{"unlimited", unlimited, 1, 5, 1200, 1250, 1},
			{"it begins to throttle", 100, 0, 5, 0, 150, 0},
			{"it goes on", 100, 5, 40, 70, 105, 0.97},
			{"less", 20, 5, 40, 14, 21.5, 0.9},
			{"more again", 100, 15, 40, 60, 105, 0.97},
			{"outage", 0, 5, 20, 0, 1, 0},
			{"recovered", 100, 30, 40, 50, 105, 0.97},
			{"unlimited again", unlimited, 20, 5, 1200, 1250, 1},
		} {
			c.seconds(phase.capacity, phase.settle)
			sent, accepted := c.seconds(phase.capacity, phase.seconds)
			t.Logf("%-22s capacity %7.0f/s: sent %6.1f/s, accepted %6.1f/s", phase.name, phase.capacity, sent, accepted)
			assert.GreaterOrEqual(t, sent, phase.least, phase.name)
			assert.LessOrEqual(t, sent, phase.most, phase.name)
			assert.GreaterOrEqual(t, accepted, phase.leastAcceptedPart*sent, phase.name)
		}
		cancel()
		group.Wait()
	})
}

// Workers that would send 1000 calls a second, to a callee that accepts 100 a second: how much
// of that is used must not depend on how long a call takes. In that time many calls are
// throttled that were sent at one rate.
func TestRateOfSlowCallee(t *testing.T) {
	t.Parallel()
	skipUnderRace(t)
	for _, latency := range []time.Duration{4 * time.Millisecond, 40 * time.Millisecond, 400 * time.Millisecond, 2 * time.Second} {
		t.Run(latency.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				l := adaptive.MustNewRateLimiter("l")
				c := &callee{latency: latency, at: time.Now()}
				group := c.send(ctx, l, int(1000*latency.Seconds()))
				c.seconds(100, 60)
				sent, accepted := c.seconds(100, 120)
				t.Logf("latency %v: sent %.1f/s, accepted %.1f/s, then the rate is %.1f/s", latency, sent, accepted, l.Rate())
				assert.GreaterOrEqual(t, accepted, 60.0)
				assert.LessOrEqual(t, sent, 130.0)
				cancel()
				group.Wait()
			})
		})
	}
}
