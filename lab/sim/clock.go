package sim

import (
	"context"
	"time"

	"github.com/observable-go/toolkit/internal/clock"
)

var (
	_ clock.Clock    = (*World)(nil)
	_ clock.Canceler = (*World)(nil)
)

// Now returns the time of the world.
func (w *World) Now() time.Time { return Epoch.Add(w.now) }

// Random returns a number drawn uniformly from [0, 1).
func (w *World) Random() float64 { return w.random.Float64() }

// Wait returns nil after d, or the error of ctx if that ends before. Of contexts it knows those
// that are made by the world, and those derived from them without being cancelled by
// themselves.
func (w *World) Wait(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	t := w.task
	w.wakeAfter(t, max(d, 0))
	nodeOf(ctx).enter(t)
	w.block()
	return ctx.Err()
}

// NewSignal returns a signal whose Wait waits in the world.
func (w *World) NewSignal() clock.Signal { return &signal{world: w} }

// A signal is set or not; one task at a time waits for it.
type signal struct {
	world *World
	set   bool
	task  *task
	wait  uint64
}

func (s *signal) Set() {
	s.set = true
	if s.task != nil {
		s.task.wake(s.wait)
	}
}

func (s *signal) Wait(ctx context.Context, d time.Duration) clock.Wake {
	if !s.set && ctx.Err() == nil && d != 0 {
		t := s.world.task
		if d > 0 {
			s.world.wakeAfter(t, d)
		}
		nodeOf(ctx).enter(t)
		s.task, s.wait = t, t.wait
		s.world.block()
		s.task = nil
	}
	switch {
	case s.set:
		s.set = false
		return clock.WakeSet
	case ctx.Err() != nil:
		return clock.WakeDone
	}
	return clock.WakeElapsed
}
