package adaptive

import (
	"context"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/internal/clock"
)

// Tokens may be there before the first of the queue has woken up, as the rate may rise while it
// waits. Nobody overtakes it then.
func TestNobodyOvertakes(t *testing.T) {
	t.Parallel()
	l := MustNewRateLimiter("l")
	l.state = cubic{limited: true, rate: 1, capacity: 10, tokens: 0, refilled: 3 * time.Hour}
	l.limited.Store(true)
	enter := func() *waiter {
		w := &waiter{latest: 2 * time.Hour, turn: clock.NewSignal(nil)}
		sent, wait, refusal := l.look(w, time.Hour)
		assert.Nil(t, refusal)
		assert.False(t, sent)
		assert.Positive(t, wait)
		return w
	}
	first, second := enter(), enter()
	l.state.tokens = 5
	assert.False(t, l.takeNow(l.now()), "a new one")
	sent, wait, refusal := l.look(second, time.Hour)
	assert.False(t, sent, "the second one, woken for no reason")
	assert.Equal(t, time.Hour+1, wait, "until it is too late")
	assert.Nil(t, refusal)
	sent, _, _ = l.look(first, time.Hour)
	assert.True(t, sent)
	l.leave(first)
	assert.Equal(t, clock.WakeSet, second.turn.Wait(t.Context(), 0), "it is called")
	sent, _, _ = l.look(second, time.Hour)
	assert.True(t, sent)
	assert.False(t, l.takeNow(l.now()), "as long as it has not left")
	third := enter()
	_, _, refusal = l.look(third, 2*time.Hour+1)
	assert.NotNil(t, refusal, "too late")
	l.leave(third)
	l.leave(second)
	assert.True(t, l.takeNow(l.now()))
	assert.InDelta(t, 2, l.state.tokens, exact)
}

// A deadline by the wall clock alone, as from a header, holds also if that clock was set since
// the limiter was made.
func TestDeadlineByWallClock(t *testing.T) {
	t.Parallel()
	for _, set := range []time.Duration{-time.Hour, time.Hour} {
		l := MustNewRateLimiter("l")
		l.epoch = atWallClock(t, l.epoch, set)
		l.state = cubic{limited: true, rate: 1000, capacity: 1, refilled: l.now()}
		l.limited.Store(true)
		deadline := time.Now().Add(3 * time.Second).Round(0)
		for rate, want := range map[float64]error{1000: nil, 1. / 4: ErrRate} {
			l.state.rate = rate
			ctx, cancel := context.WithDeadline(t.Context(), deadline)
			assert.ErrorIs(t, l.Do(ctx, func(context.Context) error { return nil }), want, "set by %v, %v calls/s", set, rate)
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
