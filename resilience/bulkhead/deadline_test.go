package bulkhead_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience/bulkhead"
)

// A call that would wait in vain is refused at once: here a slot becomes free every second.
func TestDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew("b", 2, bulkhead.WithQueue(10))
		take(t, b, 2)
		within := func(d time.Duration) (time.Duration, error) {
			ctx, cancel := context.WithTimeout(t.Context(), d)
			defer cancel()
			began := time.Now()
			err := b.Acquire(ctx)
			return time.Since(began), err
		}
		var ended atomic.Int64
		for range 6 {
			acquire(t.Context(), b, &ended)
		}
		for range 3 { // two intervals between hand-overs are one round of all slots
			waited, err := within(time.Nanosecond)
			require.ErrorIs(t, err, context.DeadlineExceeded, "nothing is known yet")
			assert.Equal(t, time.Nanosecond, waited)
			time.Sleep(time.Second - time.Nanosecond)
			b.Release()
			synctest.Wait()
		}
		assert.Equal(t, 3, b.Queued())
		waited, err := within(4*time.Second - 1)
		full := refusal(t, err)
		assert.Zero(t, waited)
		assert.Equal(t, bulkhead.FullError{
			Name: "b", Limit: 2, Queued: 3, Reason: bulkhead.ReasonDeadline, Expected: 4 * time.Second,
		}, *full)
		require.EqualError(t, err, `b: the bulkhead is full: the context ends before one of 2 slots becomes free, in about 4s`)
		waited, err = within(4 * time.Second)
		require.ErrorIs(t, err, context.DeadlineExceeded, "it might have been in time")
		assert.Equal(t, 4*time.Second, waited)

		for b.Queued() > 0 {
			b.Release()
		}
		synctest.Wait()
		waited, err = within(time.Second)
		require.ErrorIs(t, err, context.DeadlineExceeded, "nothing is known any more when the queue was empty")
		assert.Equal(t, time.Second, waited)
		b.Release()
		b.Release()
		requireIdle(t, b)
	})
}

// Calls that begin together end together; the estimate is not misled by that.
func TestDeadlineAmongBatches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew("b", 10, bulkhead.WithQueue(1000))
		var ended, refused, inVain atomic.Int64
		for range 200 { // each takes a second, ten at a time: the last one has its turn after 19 s
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			go func() {
				err := b.Do(ctx, func(context.Context) error { time.Sleep(time.Second); return nil })
				assert.NoError(t, err)
				ended.Add(1)
			}()
		}
		for range 150 {
			time.Sleep(100 * time.Millisecond)
			turn := time.Duration(b.Queued()/10+1) * time.Second
			ctx, cancel := context.WithTimeout(t.Context(), turn+turn/4+time.Second)
			go func() {
				defer cancel()
				if b.Acquire(ctx) != nil {
					refused.Add(1)
					return
				}
				b.Release()
			}()
			if b.Queued() >= 100 { // this one cannot have its turn in time
				ctx, cancel := context.WithTimeout(t.Context(), turn/3)
				if _, known := errors.AsType[*bulkhead.FullError](b.Acquire(ctx)); !known {
					inVain.Add(1)
				}
				cancel()
			}
		}
		synctest.Wait()
		time.Sleep(time.Minute)
		assert.EqualValues(t, 200, ended.Load())
		assert.Zero(t, refused.Load(), "each would have had its turn in time")
		assert.LessOrEqual(t, inVain.Load(), int64(1), "only before anything was known")
		requireIdle(t, b)
	})
}
