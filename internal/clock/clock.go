// Package clock is the only place of the toolkit that reads time, waits, starts
// goroutines or draws random numbers. A nil [Clock] is the real one; another lets a
// simulator run the same code under virtual time.
package clock

import (
	"context"
	"math/rand/v2"
	"time"
)

// A Clock is a source of time and chance. It is safe for use by several goroutines
// at once.
type Clock interface {
	// Now returns the current time.
	Now() time.Time
	// Wait returns nil after d, or the error of ctx if that is done before.
	Wait(ctx context.Context, d time.Duration) error
	// WithTimeoutCause is context.WithTimeoutCause by this clock.
	WithTimeoutCause(ctx context.Context, d time.Duration, cause error) (context.Context, context.CancelFunc)
	// Random returns a number drawn uniformly from [0, 1).
	Random() float64
	// NewSignal returns a signal whose Wait waits by this clock.
	NewSignal() Signal
	// Go runs f in a goroutine of its own.
	Go(f func())
}

// Now returns the current time of c.
func Now(c Clock) time.Time {
	if c != nil {
		return c.Now()
	}
	return time.Now()
}

// Since returns the time that has passed on c since t. On the real clock it reads
// the monotonic clock alone, which is faster than Now.
func Since(c Clock, t time.Time) time.Duration {
	if c != nil {
		return c.Now().Sub(t)
	}
	return time.Since(t)
}

// Until returns the time that is left on c until t. On the real clock it reads the
// monotonic clock alone if t was made from that.
func Until(c Clock, t time.Time) time.Duration {
	if c != nil {
		return t.Sub(c.Now())
	}
	return time.Until(t)
}

// Random returns a number drawn uniformly from [0, 1).
func Random(c Clock) float64 {
	if c != nil {
		return c.Random()
	}
	return rand.Float64()
}

// WithTimeoutCause is context.WithTimeoutCause by c.
func WithTimeoutCause(ctx context.Context, c Clock, d time.Duration, cause error) (context.Context, context.CancelFunc) {
	if c != nil {
		return c.WithTimeoutCause(ctx, d, cause)
	}
	return context.WithTimeoutCause(ctx, d, cause)
}

// A Canceler is a clock whose waits do not notice the end of a context of package context.
type Canceler interface {
	// WithCancelCause is context.WithCancelCause, with a context whose end they notice.
	WithCancelCause(ctx context.Context) (context.Context, context.CancelCauseFunc)
}

// WithCancelCause is context.WithCancelCause, by c if that is a [Canceler].
func WithCancelCause(ctx context.Context, c Clock) (context.Context, context.CancelCauseFunc) {
	if canceler, ok := c.(Canceler); ok {
		return canceler.WithCancelCause(ctx)
	}
	return context.WithCancelCause(ctx)
}

// Go runs f in a goroutine of its own.
func Go(c Clock, f func()) {
	if c != nil {
		c.Go(f)
		return
	}
	go f()
}

// A Timer waits any number of times for one allocation. The zero Timer is ready to
// use, by one goroutine at a time; Stop frees what it holds. It is never pooled: a
// timer belongs to the testing/synctest bubble in which it was made.
type Timer struct{ timer *time.Timer }

// Wait returns nil after d on c, or the error of ctx if that is done before or at
// the end of the wait. It does not wait at all if d <= 0.
func (t *Timer) Wait(ctx context.Context, c Clock, d time.Duration) error {
	switch {
	case d <= 0:
		return ctx.Err()
	case c != nil:
		return c.Wait(ctx, d)
	case t.timer == nil:
		t.timer = time.NewTimer(d)
	default:
		t.timer.Reset(d)
	}
	select {
	case <-t.timer.C:
	case <-ctx.Done():
		t.timer.Stop()
	}
	return ctx.Err()
}

// Stop frees the timer. The Timer may be used again.
func (t *Timer) Stop() {
	if t.timer != nil {
		t.timer.Stop()
	}
}
