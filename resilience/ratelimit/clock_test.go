package ratelimit

import (
	"context"
	"math"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// No sum overflows: at the extremes of rate, burst, wait and clock all decisions are right.
func TestExtremes(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{MinRate, 1e-3, MaxRate} {
		burst := int(min(MaxBurst, maxRefill/intervalOf(rate)))
		for _, start := range []time.Duration{0, math.MinInt64 / 2, math.MaxInt64 / 2} {
			clk := &stepClock{}
			clk.nanoseconds.Store(int64(start))
			l := newLimiter(t, clk, rate, WithBurst(burst), WithMaxWait(math.MaxInt64))
			s := l.schedule.Load()
			s.arrival.Store(int64(l.now() + s.tolerance)) // all but one of the burst are used
			require.True(t, l.Allow())
			require.False(t, l.Allow())
			wait := time.Duration(0)
			for i := range 100 {
				got, ok := l.take(l.now(), l.maxWait)
				require.True(t, ok)
				wait = time.Duration(i+1) * intervalOf(rate)
				require.Equal(t, wait, got.wait)
			}
			clk.advance(wait)
			require.False(t, l.Allow())
			clk.advance(intervalOf(rate))
			require.True(t, l.Allow())
			require.NoError(t, l.SetRate(MaxRate))
			require.False(t, l.Allow())
			clk.advance(1000)
			require.True(t, l.Allow())
			clk.nanoseconds.Store(math.MaxInt64) // the end of time
			require.True(t, l.Allow())
			clk.nanoseconds.Store(math.MinInt64)
			for range 3 {
				l.Allow()
			}
			_, ok := l.take(l.now(), l.maxWait)
			require.False(t, ok, "the clock stepped back to before the beginning, so all that can wait may be waiting")
			require.LessOrEqual(t, l.horizon(), l.schedule.Load().horizon)
		}
	}
}

// horizon returns how far ahead of the clock the theoretical arrival time is.
func (l *Limiter) horizon() time.Duration {
	return time.Duration(l.schedule.Load().arrival.Load()) - l.now()
}

// When the clock steps back the limiter assumes the most that can have been taken: the rate
// is not exceeded, and calls pass again after the interval and the longest wait.
func TestClockThatStepsBack(t *testing.T) {
	t.Parallel()
	for _, maxWait := range []time.Duration{0, 5 * time.Second} {
		clk := &stepClock{}
		clk.advance(time.Hour)
		l := newLimiter(t, clk, 1, WithBurst(3), WithMaxWait(maxWait))
		clk.advance(time.Hour)
		for range 3 {
			require.True(t, l.Allow())
		}
		for range int(maxWait.Seconds()) {
			_, ok := l.take(l.now(), maxWait)
			require.True(t, ok)
		}
		for _, back := range []time.Duration{time.Minute, 3 * time.Hour} {
			clk.advance(-back)
			require.False(t, l.Allow(), "nothing is given by a step back")
			clk.advance(maxWait + time.Second - 1)
			require.False(t, l.Allow())
			clk.advance(1)
			require.True(t, l.Allow(), "nor is the limiter stuck until the clock is where it was")
			require.False(t, l.Allow())
			clk.advance(time.Second)
			require.True(t, l.Allow())
		}
	}
}

func TestClockThatAlwaysStepsBack(t *testing.T) {
	t.Parallel()
	clk := &backwards{}
	l := newLimiter(t, clk, 1, WithBurst(3), WithMaxWait(time.Second))
	granted := 0
	for range 1000 {
		if l.Allow() {
			granted++
		}
	}
	assert.LessOrEqual(t, granted, 3, "and it comes to an end")
}

// backwards is a clock that goes backwards whenever it is read, by more than any wait.
type backwards struct{ stepClock }

func (c *backwards) Now() time.Time { return time.Unix(0, c.nanoseconds.Add(-int64(time.Minute))) }

// A time that was read before others moved on is not taken for a clock that steps back.
func TestOldTime(t *testing.T) {
	t.Parallel()
	clk := &stepClock{}
	l := newLimiter(t, clk, 1)
	old := l.now()
	clk.advance(time.Hour)
	require.True(t, l.Allow())
	_, ok := l.take(old, 0)
	assert.False(t, ok)
	assert.Equal(t, time.Second, l.horizon(), "the turn that was taken is not forgotten")
	clk.advance(time.Second)
	got, ok := l.take(old, 0)
	assert.True(t, ok, "the time is read again")
	assert.Zero(t, got.wait)
}

// A deadline by the wall clock alone, as from a header, holds also if that clock was set since
// the limiter was made.
func TestDeadlineByWallClock(t *testing.T) {
	t.Parallel()
	for _, set := range []time.Duration{-time.Hour, time.Hour} {
		for rate, want := range map[float64]error{1000: nil, 1. / 4: ErrRate} {
			l := newLimiter(t, nil, rate, WithMaxWait(time.Minute))
			l.epoch = atWallClock(t, l.epoch, set)
			require.True(t, l.Allow())
			ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(3*time.Second).Round(0))
			assert.ErrorIs(t, l.Wait(ctx), want, "set by %v, %v calls/s", set, rate)
			cancel()
		}
	}
}

// atWallClock returns what t would be if the wall clock had been ahead by d, in whole seconds.
// The monotonic reading stays: nothing but the clock of a machine makes such a time otherwise.
func atWallClock(t *testing.T, at time.Time, d time.Duration) time.Time {
	t.Helper()
	ahead := at
	seconds := (*uint64)(unsafe.Pointer(&ahead)) // above the nanoseconds, in the first word
	*seconds += uint64(int64(d/time.Second)) << 30
	require.Zero(t, ahead.Sub(at))
	require.Equal(t, d, ahead.Round(0).Sub(at.Round(0)))
	return ahead
}

// While a schedule is replaced the one that goes out of use gives no turn: it would be lost.
func TestNoTurnIsGivenWhileTheRateChanges(t *testing.T) {
	t.Parallel()
	clk := &watchedClock{}
	l := newLimiter(t, clk, 1)
	require.True(t, l.Allow())
	allowed := make(chan bool, 1)
	whenRead := func() {
		assert.Equal(t, int64(replaced), l.schedule.Load().arrival.Load())
		go func() { allowed <- l.Allow() }()
	}
	clk.once.Store(&whenRead)
	require.NoError(t, l.SetRate(2))
	assert.False(t, <-allowed, "it waited for the new schedule")
	assert.Equal(t, time.Second/2, l.horizon())
}

// watchedClock is a clock that does something when it is read, once.
type watchedClock struct {
	stepClock
	once atomic.Pointer[func()]
}

func (c *watchedClock) Now() time.Time {
	if f := c.once.Swap(nil); f != nil {
		(*f)()
	}
	return c.stepClock.Now()
}
