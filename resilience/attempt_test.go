package resilience_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience"
)

func leave() { runtime.Goexit() }

func TestAttemptFrom(t *testing.T) {
	t.Parallel()
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "value")
	assert.Nil(t, resilience.AttemptFrom(ctx))

	outer := resilience.WithAttempt(ctx, resilience.Attempt{Policy: "outer", Number: 2, Max: 3})
	inner := resilience.WithAttempt(outer, resilience.Attempt{Policy: "inner", Number: 4, Max: 5})
	assert.Equal(t, &resilience.Attempt{Policy: "outer", Number: 2, Max: 3}, resilience.AttemptFrom(outer))
	assert.Equal(t, "inner", resilience.AttemptFrom(inner).Policy)
	assert.Same(t, resilience.AttemptFrom(outer), resilience.AttemptFrom(inner).Outer)
	assert.Equal(t, "value", inner.Value(key{}))
}

// A context outlives its attempt: no later attempt may change it.
func TestAttemptsAreNotReused(t *testing.T) {
	t.Parallel()
	var contexts []context.Context
	for i := range 100 {
		contexts = append(contexts, resilience.WithAttempt(t.Context(), resilience.Attempt{Number: i}))
	}
	for i, ctx := range contexts {
		assert.Equal(t, i, resilience.AttemptFrom(ctx).Number)
	}
}

func TestWithAttemptAllocatesLittle(t *testing.T) {
	ctx := context.Background()
	var sink context.Context
	allocs := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			sink = resilience.WithAttempt(ctx, resilience.Attempt{Number: 2})
		}
	})
	assert.NotNil(t, sink)
	if !raceEnabled { // under the race detector pools drop what they are given
		assert.Zero(t, allocs.AllocsPerOp())
	}
}

func TestContextsDeriveWithoutGoroutines(t *testing.T) {
	caller, cancel := context.WithCancel(t.Context())
	defer cancel()
	attempt, end := resilience.Scope(caller, caller)
	defer end()
	attempt = resilience.WithAttempt(attempt, resilience.Attempt{Number: 2})
	retained, release := resilience.Retain(attempt)
	defer release()

	before := runtime.NumGoroutine()
	for range 100 {
		_, cancel := context.WithCancel(attempt)
		defer cancel()
		_, cancel = context.WithCancel(retained)
		defer cancel()
	}
	assert.Less(t, runtime.NumGoroutine()-before, 50)
}

func TestNoRetry(t *testing.T) {
	t.Parallel()
	assert.True(t, resilience.MayRetry(t.Context()))
	assert.False(t, resilience.MayRetry(resilience.NoRetry(t.Context())))
}

var errEnded = errors.New("ended")

// scoped makes the context of an attempt of ctx that ends by cancelling it.
func scoped(ctx context.Context) (attempt context.Context, cancel context.CancelCauseFunc, end func()) {
	attempt, cancel = context.WithCancelCause(ctx)
	scope, markEnd := resilience.Scope(ctx, attempt)
	return scope, cancel, func() {
		markEnd()
		cancel(errEnded)
	}
}

func TestRetain(t *testing.T) {
	t.Parallel()
	type key struct{}
	setup := func(t *testing.T) (attempt context.Context, stop func(error), cancelAttempt context.CancelCauseFunc, end func()) {
		t.Helper()
		caller, cancel := context.WithCancelCause(context.WithValue(t.Context(), key{}, "caller"))
		attempt, cancelAttempt, end = scoped(caller)
		return context.WithValue(attempt, key{}, "attempt"), cancel, cancelAttempt, end
	}
	errStop := errors.New("stop")
	alive := func(t *testing.T, ctx context.Context) {
		t.Helper()
		synctest.Wait()
		assert.NoError(t, ctx.Err())
	}
	ended := func(t *testing.T, ctx context.Context, cause error) {
		t.Helper()
		synctest.Wait()
		assert.ErrorIs(t, context.Cause(ctx), cause)
	}
	for name, test := range map[string]func(t *testing.T){
		"survives the attempt": func(t *testing.T) {
			attempt, stop, _, end := setup(t)
			retained, release := resilience.Retain(attempt)
			defer release()
			end()
			ended(t, attempt, errEnded)
			alive(t, retained)
			assert.Equal(t, "attempt", retained.Value(key{}))
			stop(errStop)
			ended(t, retained, errStop)
		},
		"obeys the attempt while it runs": func(t *testing.T) {
			attempt, stop, cancelAttempt, end := setup(t)
			defer stop(nil)
			retained, release := resilience.Retain(attempt)
			defer release()
			cancelAttempt(errStop)
			ended(t, retained, errStop)
			end()
		},
		"obeys a context of the operation while it runs": func(t *testing.T) {
			attempt, stop, _, end := setup(t)
			defer stop(nil)
			own, cancel := context.WithCancelCause(attempt)
			retained, release := resilience.Retain(own)
			defer release()
			cancel(errStop)
			ended(t, retained, errStop)
			end()
		},
		"obeys the caller while the attempt runs": func(t *testing.T) {
			attempt, stop, _, end := setup(t)
			retained, release := resilience.Retain(attempt)
			defer release()
			stop(errStop)
			ended(t, retained, errStop)
			end()
		},
		"is dead if the attempt is": func(t *testing.T) {
			attempt, stop, cancelAttempt, end := setup(t)
			defer stop(nil)
			cancelAttempt(errStop)
			retained, release := resilience.Retain(attempt)
			defer release()
			assert.ErrorIs(t, context.Cause(retained), errStop, "at once")
			end()
		},
		"is of no attempt that is over": func(t *testing.T) {
			attempt, stop, _, end := setup(t)
			detached := context.WithoutCancel(attempt)
			end()
			inner, _, endInner := scoped(detached)
			retained, release := resilience.Retain(inner)
			defer release()
			plain, releasePlain := resilience.Retain(detached)
			defer releasePlain()
			endInner()
			stop(errStop)
			alive(t, retained)
			alive(t, plain)
		},
		"is released": func(t *testing.T) {
			attempt, stop, _, end := setup(t)
			defer stop(nil)
			retained, release := resilience.Retain(attempt)
			release()
			ended(t, retained, context.Canceled)
			end()
		},
		"survives nested attempts one by one": func(t *testing.T) {
			caller, stop := context.WithCancelCause(t.Context())
			outer, cancelOuter, endOuter := scoped(caller)
			inner, _, endInner := scoped(outer)
			retained, release := resilience.Retain(inner)
			defer release()
			other, releaseOther := resilience.Retain(inner)
			defer releaseOther()
			endInner()
			alive(t, retained)
			endOuter()
			alive(t, retained)
			stop(errStop)
			ended(t, retained, errStop)
			_, _ = cancelOuter, other
		},
		"obeys an outer attempt after the inner one": func(t *testing.T) {
			caller, stop := context.WithCancelCause(t.Context())
			defer stop(nil)
			outer, cancelOuter, endOuter := scoped(caller)
			inner, _, endInner := scoped(outer)
			retained, release := resilience.Retain(inner)
			defer release()
			endInner()
			alive(t, retained)
			cancelOuter(errStop)
			ended(t, retained, errStop)
			endOuter()
		},
		"is part of no attempt itself": func(t *testing.T) {
			attempt, stop, _, end := setup(t)
			defer stop(nil)
			retained, release := resilience.Retain(attempt)
			defer release()
			again, releaseAgain := resilience.Retain(retained)
			defer releaseAgain()
			end()
			alive(t, again)
			release()
			ended(t, again, context.Canceled)
		},
		"can be derived from": func(t *testing.T) {
			attempt, stop, _, end := setup(t)
			retained, release := resilience.Retain(attempt)
			defer release()
			derived, cancel := context.WithTimeout(retained, time.Hour)
			defer cancel()
			end()
			alive(t, derived)
			stop(errStop)
			ended(t, derived, errStop)
		},
		"outside of an attempt": func(t *testing.T) {
			caller, stop := context.WithCancelCause(t.Context())
			retained, release := resilience.Retain(caller)
			defer release()
			alive(t, retained)
			stop(errStop)
			ended(t, retained, errStop)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, test)
		})
	}
}

func TestScopeKeepsTheAttempt(t *testing.T) {
	t.Parallel()
	ctx := resilience.WithAttempt(t.Context(), resilience.Attempt{Number: 2})
	attempt, _, end := scoped(ctx)
	defer end()
	require.NotNil(t, resilience.AttemptFrom(attempt))
	retained, release := resilience.Retain(attempt)
	defer release()
	require.NotNil(t, resilience.AttemptFrom(retained))
}
