package bulkhead_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/bulkhead"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

var errPlain = errors.New("plain")

func TestDo(t *testing.T) {
	t.Parallel()
	b := bulkhead.MustNew("b", 2)
	var nobody *bulkhead.Bulkhead
	for _, b := range []*bulkhead.Bulkhead{b, nobody} {
		calls := 0
		require.NoError(t, b.Do(t.Context(), func(ctx context.Context) error {
			calls++
			assert.Equal(t, t.Context(), ctx)
			if b != nil {
				assert.Equal(t, 1, b.Inflight())
			}
			return nil
		}))
		assert.Same(t, errPlain, b.Do(t.Context(), func(context.Context) error { calls++; return errPlain }))
		value, err := bulkhead.DoValue(t.Context(), b, func(context.Context) (int, error) { calls++; return 7, errPlain })
		assert.Equal(t, 7, value, "also beside an error")
		assert.Same(t, errPlain, err)
		assert.Equal(t, 3, calls)
		assert.Zero(t, b.Inflight())
	}
	assert.Equal(t, "b", b.Name())
	assert.Equal(t, resilience.Description{Kind: "bulkhead", Name: "b"}, b.Describe())
}

func TestNilArguments(t *testing.T) {
	t.Parallel()
	b := bulkhead.MustNew("b", 1)
	var nobody *bulkhead.Bulkhead
	noContext := context.Context(nil)
	nothing := func(context.Context) error { return nil }
	_, noValue := bulkhead.DoValue[int](t.Context(), b, nil)
	for _, err := range []error{
		b.Do(t.Context(), nil), nobody.Do(t.Context(), nil), b.Do(noContext, nil), noValue,
	} {
		require.EqualError(t, err, "bulkhead: the operation is nil")
		assert.Equal(t, resilience.ClassPermanent, resilience.Classify(err))
	}
	for _, err := range []error{b.Do(noContext, nothing), b.Acquire(noContext)} {
		require.EqualError(t, err, "bulkhead: the context is nil")
		assert.Equal(t, resilience.ClassPermanent, resilience.Classify(err))
	}
	require.NoError(t, nobody.Do(noContext, nothing))
	requireIdle(t, b)
}

func TestFull(t *testing.T) {
	t.Parallel()
	b := bulkhead.MustNew("inventory", 2)
	take(t, b, 2)
	err := b.Do(t.Context(), func(context.Context) error { panic("called") })
	assert.Equal(t, bulkhead.FullError{Name: "inventory", Limit: 2, Reason: bulkhead.ReasonFull}, *refusal(t, err))
	require.EqualError(t, err, `inventory: the bulkhead is full: all 2 slots are taken and 0 calls wait`)
	assert.Equal(t, resilience.ClassRefused, resilience.Classify(err))
	assert.Equal(t, "bulkhead_full", resilience.ErrorType(err))
	assert.False(t, b.TryAcquire())
	b.Release()
	require.NoError(t, b.Acquire(t.Context()))
	b.Release()
	b.Release()
	b.Release() // one too many, which does nothing
	requireIdle(t, b)
}

func TestPanicAndGoexitGiveTheSlotBack(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]bulkhead.Option{
		"fixed": nil, "adaptive": {bulkhead.WithAdaptiveLimit(&bulkhead.Vegas{})},
	} {
		b := bulkhead.MustNew(name, 1, opts...)
		assert.Equal(t, "boom", run(func() {
			_ = b.Do(t.Context(), func(context.Context) error { panic("boom") })
		}))
		requireIdle(t, b)
		assert.Nil(t, run(func() {
			_ = b.Do(t.Context(), func(context.Context) error { runtime.Goexit(); return nil })
		}))
		requireIdle(t, b)
	}
}

func TestQueueIsServedInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew("b", 1, bulkhead.WithQueue(5))
		take(t, b, 1)
		var ended atomic.Int64
		var calls []*background
		for i := range 5 {
			calls = append(calls, acquire(t.Context(), b, &ended))
			assert.Equal(t, i+1, b.Queued())
		}
		sixth := acquire(t.Context(), b, &ended)
		full := refusal(t, sixth.err)
		assert.Equal(t, bulkhead.ReasonFull, full.Reason)
		assert.Equal(t, 5, full.Queued)
		for i, call := range calls {
			assert.False(t, call.done.Load())
			b.Release()
			assert.False(t, b.TryAcquire(), "the slot is that of who waits, also before that knows")
			assert.Equal(t, 1, b.Inflight())
			synctest.Wait()
			require.True(t, call.done.Load())
			require.NoError(t, call.err)
			assert.EqualValues(t, i+2, call.order, "after the sixth, which ended at once")
			assert.Equal(t, 4-i, b.Queued())
		}
		b.Release()
		requireIdle(t, b)
	})
}

func TestMaxWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew("b", 1, bulkhead.WithQueue(5), bulkhead.WithMaxWait(time.Second))
		take(t, b, 1)
		began := time.Now()
		err := b.Acquire(t.Context())
		assert.Equal(t, time.Second, time.Since(began))
		assert.Equal(t, bulkhead.FullError{Name: "b", Limit: 1, Reason: bulkhead.ReasonWait, Waited: time.Second}, *refusal(t, err))
		require.EqualError(t, err, `b: the bulkhead is full: none of 1 slots became free in 1s`)
		assert.Zero(t, b.Queued())
		time.AfterFunc(time.Second-1, b.Release)
		require.NoError(t, b.Acquire(t.Context()), "just in time")
		b.Release()
		requireIdle(t, b)
	})
}

func TestContextThatEndsWhileWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew("b", 1, bulkhead.WithQueue(5))
		take(t, b, 1)
		var ended atomic.Int64
		first, second := acquire(t.Context(), b, &ended), acquire(t.Context(), b, &ended)
		cause := errors.New("the user left")
		first.cancel(cause)
		synctest.Wait()
		require.True(t, first.done.Load())
		require.ErrorIs(t, first.err, cause)
		require.ErrorIs(t, first.err, context.Canceled)
		require.NotErrorIs(t, first.err, bulkhead.ErrFull)
		require.EqualError(t, first.err, `b: the context ended before the call's turn: the user left: context canceled`)
		assert.NotEqual(t, resilience.ClassRefused, resilience.Classify(first.err))
		assert.Equal(t, 1, b.Queued())

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := b.Do(ctx, func(context.Context) error { panic("called") })
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.EqualError(t, err, `b: the context ended before the call's turn: context deadline exceeded`)
		assert.Equal(t, 1, b.Queued())

		b.Release()
		synctest.Wait()
		require.True(t, second.done.Load())
		require.NoError(t, second.err)
		b.Release()
		requireIdle(t, b)

		err = b.Do(ctx, func(context.Context) error { panic("called") })
		require.ErrorIs(t, err, context.DeadlineExceeded, "a context that is done is not tried, though a slot is free")
		requireIdle(t, b)
	})
}

// A slot that is handed over to a call whose context has just ended goes on to the next.
func TestHandOverToACallThatLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, next := range []bool{false, true} {
			b := bulkhead.MustNew("b", 1, bulkhead.WithQueue(5))
			take(t, b, 1)
			var ended atomic.Int64
			leaving := acquire(t.Context(), b, &ended)
			var second *background
			if next {
				second = acquire(t.Context(), b, &ended)
			}
			leaving.cancel(nil) // and before it can run
			b.Release()
			synctest.Wait()
			require.ErrorIs(t, leaving.err, context.Canceled)
			if next {
				require.True(t, second.done.Load())
				require.NoError(t, second.err)
				b.Release()
			}
			requireIdle(t, b)
		}
	})
}

func TestSetLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew("b", 1, bulkhead.WithQueue(10))
		take(t, b, 1)
		var ended atomic.Int64
		var calls []*background
		for range 4 {
			calls = append(calls, acquire(t.Context(), b, &ended))
		}
		require.NoError(t, b.SetLimit(3))
		synctest.Wait()
		assert.Equal(t, []bool{true, true, false, false}, done(calls), "two more, as they came")
		assert.Equal(t, 3, b.Inflight())
		assert.Equal(t, 3, b.Limit())

		require.NoError(t, b.SetLimit(1))
		b.Release()
		b.Release()
		synctest.Wait()
		assert.Equal(t, []bool{true, true, false, false}, done(calls), "none before there are fewer than the limit")
		assert.Equal(t, 1, b.Inflight())
		assert.Equal(t, 2, b.Queued())
		b.Release()
		synctest.Wait()
		assert.Equal(t, []bool{true, true, true, false}, done(calls))

		require.NoError(t, b.SetLimit(bulkhead.MaxLimit))
		synctest.Wait()
		assert.Equal(t, []bool{true, true, true, true}, done(calls))
		require.NoError(t, b.SetLimit(2))
		b.Release()
		b.Release()
		requireIdle(t, b)
	})
}

func done(calls []*background) (all []bool) {
	for _, c := range calls {
		all = append(all, c.done.Load())
	}
	return all
}

func TestFastPathNeedsNothing(t *testing.T) {
	c := &countingClock{}
	b := bulkhead.MustNew("b", 2, bulkhead.WithQueue(1), bulkhead.WithMaxWait(time.Second), bulkhead.WithClock(c),
		bulkhead.WithTelemetry(telemetry.Off()))
	on := bulkhead.MustNew("b", 2)
	adaptive := bulkhead.MustNew("b", 2, bulkhead.WithAdaptiveLimit(&bulkhead.Gradient2{}))
	ctx := context.Background()
	value := func(context.Context) (int, error) { return 1, nil }
	nothing := func(context.Context) error { return nil }
	for name, f := range map[string]func(){
		"DoValue":     func() { _, _ = bulkhead.DoValue(ctx, b, value) },
		"Do":          func() { _ = b.Do(ctx, nothing) },
		"Acquire":     func() { _ = b.Acquire(ctx); b.Release() },
		"TryAcquire":  func() { b.TryAcquire(); b.Release() },
		"TryAcquire2": func() { _ = b.Acquire(ctx); _ = b.Acquire(ctx); b.TryAcquire(); b.Release(); b.Release() },
		"telemetry":   func() { _, _ = bulkhead.DoValue(ctx, on, value) },
		"adaptive":    func() { _, _ = bulkhead.DoValue(ctx, adaptive, value) },
	} {
		if allocs := testing.AllocsPerRun(1000, f); !raceEnabled {
			assert.Zero(t, allocs, name)
		}
	}
	assert.Zero(t, c.reads.Load(), "the clock was read")
}
