package hedge_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/hedge"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// stepClock is a clock on which time passes when somebody waits for it to, as on that of a
// simulator: a copy that waits for the end of its context lets the caller's wait elapse.
type stepClock struct {
	now        time.Time
	goroutines int
	waits      []time.Duration
}

func (c *stepClock) Now() time.Time                                  { return c.now }
func (c *stepClock) Random() float64                                 { return 0 }
func (c *stepClock) Wait(ctx context.Context, _ time.Duration) error { return ctx.Err() }
func (c *stepClock) NewSignal() clock.Signal                         { return stepSignal{c, clock.NewSignal(nil)} }

func (c *stepClock) WithTimeoutCause(ctx context.Context, d time.Duration, cause error) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, cause)
}

func (c *stepClock) Go(f func()) {
	c.goroutines++
	go f()
}

type stepSignal struct {
	clock  *stepClock
	signal clock.Signal
}

func (s stepSignal) Set() { s.signal.Set() }

func (s stepSignal) Wait(ctx context.Context, d time.Duration) clock.Wake {
	s.clock.waits = append(s.clock.waits, d)
	if d < 0 {
		return s.signal.Wait(ctx, d)
	}
	s.clock.now = s.clock.now.Add(d)
	return clock.WakeElapsed
}

// A hedge on another clock waits and starts goroutines by that clock alone.
func TestAnotherClock(t *testing.T) {
	t.Parallel()
	c := &stepClock{now: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)}
	h := hedge.MustNew("h", hedge.WithClock(c), hedge.WithDelay(time.Hour), hedge.WithMaxCopies(3), hedge.WithTelemetry(telemetry.Off()))
	value, err := hedge.DoValue(t.Context(), h, func(ctx context.Context) (int, error) {
		if a := resilience.AttemptFrom(ctx); a != nil && a.Number == 3 {
			return 3, nil
		}
		<-ctx.Done()
		return 0, ctx.Err()
	}, nil)
	require.NoError(t, err)
	assert.Equal(t, 3, value)
	assert.Equal(t, 3, c.goroutines)
	assert.Equal(t, []time.Duration{time.Hour, time.Hour, -1}, c.waits)
}
