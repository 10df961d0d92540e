package adaptive

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

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
	assert.False(t, l.takeNow(), "a new one")
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
	assert.False(t, l.takeNow(), "as long as it has not left")
	third := enter()
	_, _, refusal = l.look(third, 2*time.Hour+1)
	assert.NotNil(t, refusal, "too late")
	l.leave(third)
	l.leave(second)
	assert.True(t, l.takeNow())
	assert.InDelta(t, 2, l.state.tokens, exact)
}
