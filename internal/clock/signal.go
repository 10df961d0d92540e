package clock

import (
	"context"
	"time"
)

// A Signal wakes the goroutine that waits for it: a binary semaphore. It may be set any
// number of times by any goroutine, before or during a Wait; each Wait takes it back.
type Signal interface {
	// Set wakes the goroutine that waits, or else the next one that will.
	Set()
	// Wait waits until the signal is set, ctx is done or d has passed, and returns which
	// of them it was: the first of that order if it was several. If d is negative no
	// time limits the wait.
	Wait(ctx context.Context, d time.Duration) Wake
}

// A Wake is why a wait for a [Signal] ended.
type Wake uint8

const (
	// WakeSet: the signal was set.
	WakeSet Wake = iota
	// WakeDone: the context is done.
	WakeDone
	// WakeElapsed: the time has passed.
	WakeElapsed
)

// NewSignal returns a signal of c.
func NewSignal(c Clock) Signal {
	if c != nil {
		return c.NewSignal()
	}
	return signal(make(chan struct{}, 1))
}

// signal is a Signal of the real clock.
type signal chan struct{}

func (s signal) Set() {
	select {
	case s <- struct{}{}:
	default: // it is set already
	}
}

func (s signal) Wait(ctx context.Context, d time.Duration) Wake {
	var elapsed <-chan time.Time
	if d >= 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		elapsed = timer.C
	}
	wake := WakeElapsed
	select {
	case <-s:
		return WakeSet
	case <-ctx.Done():
		wake = WakeDone
	case <-elapsed:
	}
	select { // several may have come true at once
	case <-s:
		return WakeSet
	default:
	}
	if ctx.Err() != nil {
		wake = WakeDone
	}
	return wake
}
