package bulkhead_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/resilience/bulkhead"
)

// errOverload is an error that says that the callee is overloaded.
var errOverload = overloadError{}

type overloadError struct{}

func (overloadError) Error() string   { return "overload" }
func (overloadError) Retryable() bool { return true }

// countingClock is the real clock, or that of a bubble, and counts how often it is read.
// Its chance is fixed.
type countingClock struct {
	reads  atomic.Int64
	random float64
}

func (c *countingClock) Now() time.Time {
	c.reads.Add(1)
	return time.Now()
}

func (c *countingClock) Wait(ctx context.Context, d time.Duration) error {
	var t clock.Timer
	defer t.Stop()
	return t.Wait(ctx, nil, d)
}

func (c *countingClock) WithTimeoutCause(
	ctx context.Context, d time.Duration, cause error,
) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, cause)
}

func (c *countingClock) Random() float64         { return c.random }
func (c *countingClock) NewSignal() clock.Signal { return clock.NewSignal(nil) }
func (c *countingClock) Go(f func())             { go f() }

// background is a call of Acquire in a goroutine of its own.
type background struct {
	cancel context.CancelCauseFunc
	done   atomic.Bool
	err    error // once done
	order  int64 // the how manieth of all that ended it was, from 1
}

// acquire begins Acquire and waits until it waits or has ended. ended counts those that have.
func acquire(ctx context.Context, b *bulkhead.Bulkhead, ended *atomic.Int64) *background {
	ctx, cancel := context.WithCancelCause(ctx)
	g := &background{cancel: cancel}
	go func() {
		g.err = b.Acquire(ctx)
		g.order = ended.Add(1)
		g.done.Store(true)
	}()
	synctest.Wait()
	return g
}

// take takes n slots that are free.
func take(t *testing.T, b *bulkhead.Bulkhead, n int) {
	t.Helper()
	for range n {
		if !b.TryAcquire() {
			require.Fail(t, "a slot is missing")
		}
	}
}

// requireIdle checks that every slot has come back and nobody waits.
func requireIdle(t *testing.T, b *bulkhead.Bulkhead) {
	t.Helper()
	require.Zero(t, b.Inflight())
	require.Zero(t, b.Queued())
	take(t, b, b.Limit())
	require.False(t, b.TryAcquire())
	for range b.Limit() {
		b.Release()
	}
	require.Zero(t, b.Inflight())
}

// refusal returns the refusal in err.
func refusal(t *testing.T, err error) *bulkhead.FullError {
	t.Helper()
	var full *bulkhead.FullError
	require.ErrorAs(t, err, &full)
	require.ErrorIs(t, err, bulkhead.ErrFull)
	return full
}

// run runs f as a goroutine of its own, which f may leave by Goexit, and returns what it
// panicked with.
func run(f func()) (panicked any) {
	var group sync.WaitGroup
	group.Go(func() {
		defer func() { panicked = recover() }()
		f()
	})
	group.Wait()
	return panicked
}

// pass makes n calls that take no time, one after the other.
func pass(t *testing.T, b *bulkhead.Bulkhead, n int) {
	t.Helper()
	for range n {
		require.NoError(t, b.Do(t.Context(), func(context.Context) error { return nil }))
	}
}

// drop makes n calls that are dropped at once, one after the other. Three from the quiet
// are an exception; the next one is not.
func drop(t *testing.T, b *bulkhead.Bulkhead, n int) {
	t.Helper()
	for range n {
		require.ErrorIs(t, b.Do(t.Context(), func(context.Context) error { return errOverload }), errOverload)
	}
}

// begin begins a call in a goroutine of its own, which takes that long and fails by err.
func begin(t *testing.T, b *bulkhead.Bulkhead, d time.Duration, err error) {
	t.Helper()
	go func() { _ = b.Do(t.Context(), func(context.Context) error { time.Sleep(d); return err }) }()
	synctest.Wait()
}

// after waits for d and for what happens then.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
