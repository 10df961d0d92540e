package bulkhead_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/resilience/bulkhead"
)

// windowClock has signals that wake for another reason than being set, while something
// happens that the one who waited cannot know of yet.
type windowClock struct {
	countingClock
	wake clock.Wake
	then func()
}

func (c *windowClock) NewSignal() clock.Signal { return windowSignal{c} }

type windowSignal struct{ *windowClock }

func (windowSignal) Set() {}
func (s windowSignal) Wait(context.Context, time.Duration) clock.Wake {
	s.then()
	return s.wake
}

// A slot is handed over just when the wait has ended for another reason.
func TestHandOverAfterTheWait(t *testing.T) {
	t.Parallel()
	c := &windowClock{}
	b := bulkhead.MustNew("b", 1, bulkhead.WithQueue(2), bulkhead.WithClock(c))

	take(t, b, 1)
	c.wake, c.then = clock.WakeElapsed, b.Release
	require.NoError(t, b.Acquire(t.Context()), "the slot is there, so the call takes it")
	assert.Equal(t, 1, b.Inflight())
	b.Release()
	requireIdle(t, b)

	take(t, b, 1)
	ctx, cancel := context.WithCancel(t.Context())
	c.wake, c.then = clock.WakeDone, func() { cancel(); b.Release() }
	require.ErrorIs(t, b.Acquire(ctx), context.Canceled, "the slot goes back")
	requireIdle(t, b)

	take(t, b, 1)
	c.wake, c.then = clock.WakeElapsed, func() {}
	assert.Equal(t, bulkhead.ReasonWait, refusal(t, b.Acquire(t.Context())).Reason)
	b.Release()
	requireIdle(t, b)
}
