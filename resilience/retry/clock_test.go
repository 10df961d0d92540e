package retry_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/retry"
)

// virtualClock is a clock on which waits take no time: the clock of a simulator.
type virtualClock struct {
	clock.Clock // nil: what is not below is not used

	now    time.Time
	random float64
	limits []time.Duration // of attempts
}

func (c *virtualClock) Now() time.Time  { return c.now }
func (c *virtualClock) Random() float64 { return c.random }

func (c *virtualClock) Wait(ctx context.Context, d time.Duration) error {
	c.now = c.now.Add(d)
	return ctx.Err()
}

func (c *virtualClock) WithTimeoutCause(ctx context.Context, d time.Duration, _ error) (context.Context, context.CancelFunc) {
	c.limits = append(c.limits, d)
	return context.WithCancel(ctx)
}

// A policy on another clock reads no real time, waits none and draws no chance.
func TestAnotherClock(t *testing.T) {
	t.Parallel()
	began := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	c := &virtualClock{now: began, random: 0.5}
	p := retry.MustNew("p", retry.WithClock(c), retry.WithAttemptTimeout(time.Hour), retry.WithMaxElapsed(24*time.Hour))
	var e *retry.Error
	require.ErrorAs(t, p.Do(t.Context(), func(context.Context) error { return errTransient }), &e)
	assert.Equal(t, 3500*time.Millisecond, c.now.Sub(began), "half of 1 s, 2 s and 4 s")
	assert.Equal(t, 3500*time.Millisecond, e.Elapsed)
	assert.Equal(t, []time.Duration{time.Hour, time.Hour, time.Hour, time.Hour}, c.limits)

	n := 0
	value, err := retry.Poll(t.Context(), retry.MustNew("p", retry.WithClock(c), retry.WithBackoff(backoff.Decorrelated{Initial: time.Minute})),
		func(context.Context) (int, bool, error) { n++; return n, n == 3, nil })
	require.NoError(t, err)
	assert.Equal(t, 3, value)
	assert.Equal(t, 3500*time.Millisecond+(60+120)*time.Second, c.now.Sub(began))
}
