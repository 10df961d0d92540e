package clock_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/observable-go/toolkit/internal/clock"
)

func TestSignal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := clock.NewSignal(nil)
		s.Set()
		s.Set()
		assert.Equal(t, clock.WakeSet, s.Wait(ctx, 0), "a signal that was set before")
		assert.Equal(t, clock.WakeElapsed, s.Wait(ctx, 0), "it was taken back, and two Sets are one")

		began := time.Now()
		assert.Equal(t, clock.WakeElapsed, s.Wait(ctx, time.Second))
		assert.Equal(t, time.Second, time.Since(began))

		clock.Go(nil, func() { time.Sleep(time.Minute); s.Set() })
		assert.Equal(t, clock.WakeSet, s.Wait(ctx, -1))
		assert.Equal(t, time.Second+time.Minute, time.Since(began))

		clock.Go(nil, func() { time.Sleep(time.Minute); cancel() })
		assert.Equal(t, clock.WakeDone, s.Wait(ctx, -1))
		assert.Equal(t, clock.WakeDone, s.Wait(ctx, 0), "of several the first in order")
		s.Set()
		assert.Equal(t, clock.WakeSet, s.Wait(ctx, 0), "of several the first in order")
	})
}
