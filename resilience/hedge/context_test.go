package hedge_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/internal/signaltest"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/hedge"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// contextsOf makes a call that a second copy wins, and returns the contexts of both copies
// and what they retained.
func contextsOf(ctx context.Context, discard func(int)) (copies, retained [2]context.Context) {
	h := hedge.MustNew("h", hedge.WithDelay(second), hedge.WithTelemetry(telemetry.Off()))
	_, _ = hedge.DoValue(ctx, h, func(ctx context.Context) (int, error) {
		kept, _ := resilience.Retain(ctx) // ends with the test
		if resilience.AttemptFrom(ctx) == nil {
			copies[0], retained[0] = ctx, kept
			<-kept.Done()
			return 0, kept.Err()
		}
		copies[1], retained[1] = ctx, kept
		return 1, nil
	}, discard)
	synctest.Wait()
	return copies, retained
}

// The context of the copy that won lives with the caller's if its value may hang on it. All
// others end with the call. What was retained ends for losers only.
func TestContexts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		copies, retained := contextsOf(ctx, func(int) {})
		for _, lost := range []context.Context{copies[0], retained[0]} {
			assert.ErrorIs(t, context.Cause(lost), hedge.ErrLost)
		}
		time.Sleep(time.Hour)
		assert.NoError(t, copies[1].Err())
		assert.NoError(t, retained[1].Err())
		cancel(errGone)
		synctest.Wait()
		assert.ErrorIs(t, context.Cause(copies[1]), errGone)
		assert.ErrorIs(t, context.Cause(retained[1]), errGone)

		ctx, cancel = context.WithCancelCause(t.Context())
		copies, retained = contextsOf(ctx, nil)
		for _, lost := range []context.Context{copies[0], retained[0]} {
			assert.ErrorIs(t, context.Cause(lost), hedge.ErrLost)
		}
		assert.Equal(t, context.Canceled, context.Cause(copies[1]), "the value needs it no more")
		assert.NoError(t, retained[1].Err())
		cancel(errGone)
		synctest.Wait()
		assert.ErrorIs(t, context.Cause(retained[1]), errGone)
	})
}

// Copies of a call that failed, or whose caller has left, keep no context.
func TestContextsOfFailures(t *testing.T) {
	t.Parallel()
	for _, err := range []error{errTransient, errPermanent} {
		var seen context.Context
		h := hedge.MustNew("h", hedge.WithTelemetry(telemetry.Off()))
		_, _ = hedge.DoValue(t.Context(), h, func(ctx context.Context) (int, error) {
			seen = ctx
			return 1, err
		}, func(int) { t.Error("a value beside an error is not discarded") })
		assert.Error(t, seen.Err())
	}
}

// The deadline and the values of the caller reach every copy, and the attempt of an outer
// retry is the first copy's.
func TestWhatContextsCarry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		began := time.Now()
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, "value"), time.Minute)
		defer cancel()
		ctx = resilience.WithAttempt(ctx, resilience.Attempt{Policy: "retry", Number: 2, Max: 4})
		h := hedge.MustNew("h", hedge.WithDelay(second), hedge.WithMaxCopies(3), hedge.WithTelemetry(telemetry.Off()))
		seen := make(chan resilience.Attempt, 3)
		_, _ = hedge.DoValue(ctx, h, func(ctx context.Context) (int, error) {
			deadline, _ := ctx.Deadline()
			assert.Equal(t, began.Add(time.Minute), deadline)
			assert.Equal(t, "value", ctx.Value(key{}))
			seen <- *resilience.AttemptFrom(ctx)
			<-ctx.Done()
			return 0, ctx.Err()
		}, nil)
		require.Len(t, seen, 3)
		assert.Equal(t, "retry", (<-seen).Policy)
		for number := 2; number <= 3; number++ {
			a := <-seen
			assert.Equal(t, resilience.Attempt{Policy: "h", Number: number, Max: 3, Outer: a.Outer}, a)
			assert.Equal(t, "retry", a.Outer.Policy)
		}
	})
}

// A call without a discard leaves nothing with a context that lives for long.
func TestNothingIsLeftWithTheContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	parent := &countingContext{Context: ctx}
	h := hedge.MustNew("h", hedge.WithTelemetry(telemetry.Off()))
	for range 10 {
		_, _ = hedge.DoValue(parent, h, func(context.Context) (int, error) { return 1, nil }, nil)
	}
	assert.Equal(t, 10, parent.registered)
	assert.Equal(t, 10, parent.stopped)
	for range 10 {
		_, _ = hedge.DoValue(parent, h, func(context.Context) (int, error) { return 1, nil }, func(int) {})
	}
	assert.Equal(t, 20, parent.registered)
	assert.Equal(t, 10, parent.stopped, "as DoValue says")
}

// countingContext counts what hangs on it: the method AfterFunc is what package context
// registers by with contexts of others.
type countingContext struct {
	context.Context
	registered, stopped int
}

func (c *countingContext) Value(key any) any { return nil }

func (c *countingContext) AfterFunc(func()) func() bool {
	c.registered++
	return func() bool { c.stopped++; return true }
}

// A context that is done makes no call, no deposit and no copy.
func TestDeadContext(t *testing.T) {
	t.Parallel()
	signals, b := signaltest.New(), &fakeBudget{}
	h := hedge.MustNew("h", hedge.WithTelemetry(signals.Metrics()...), hedge.WithBudget(b))
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errGone)
	_, err := hedge.DoValue(ctx, h, func(context.Context) (int, error) { t.Error("called"); return 1, nil }, nil)
	assert.EqualError(t, err, `h: the context ended before the call: the caller has gone: context canceled`)
	assert.ErrorIs(t, err, errGone)
	assert.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, resilience.ClassPermanent, resilience.Classify(err))
	assert.Equal(t, map[string]float64{hedgeCalls + "canceled": 1, hedgeDelay: 60}, signals.All(t))
	assert.Zero(t, b.deposits.Load())

	ctx, stop := context.WithTimeout(t.Context(), -1)
	defer stop()
	_, err = hedge.DoValue(ctx, h, func(context.Context) (int, error) { t.Error("called"); return 1, nil }, nil)
	assert.EqualError(t, err, `h: the context ended before the call: context deadline exceeded`)
	assert.Equal(t, resilience.ClassRetryable, resilience.Classify(err))
	assert.Equal(t, "timeout", resilience.ErrorType(err))
}

// A copy that hears of the end of the caller's context and returns that makes the same error
// as one that does not.
func TestErrorAfterTheDeadline(t *testing.T) {
	t.Parallel()
	for _, deaf := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			signals := signaltest.New()
			ctx, cancel := context.WithTimeoutCause(t.Context(), second/2, errGone)
			defer cancel()
			h := hedge.MustNew("h", hedge.WithTelemetry(signals.Metrics()...))
			_, err := hedge.DoValue(ctx, h, func(ctx context.Context) (int, error) {
				if deaf {
					time.Sleep(second)
				}
				<-ctx.Done()
				return 0, ctx.Err()
			}, nil)
			assert.ErrorIs(t, err, errGone)
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, map[string]float64{hedgeCalls + "canceled": 1, hedgeDelay: 60}, signals.All(t))
			time.Sleep(second)
		})
	}
}
