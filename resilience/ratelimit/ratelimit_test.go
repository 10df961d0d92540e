package ratelimit_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/ratelimit"
	"github.com/observable-go/toolkit/resilience/retry"
)

func succeed(context.Context) error { return nil }

// refusal returns the refusal in err.
func refusal(t *testing.T, err error) ratelimit.RateError {
	t.Helper()
	var refused *ratelimit.RateError
	require.ErrorAs(t, err, &refused)
	return *refused
}

func TestRefusesAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limit := ratelimit.MustNew("inventory", 50, ratelimit.WithBurst(2))
		began := time.Now()
		require.NoError(t, limit.Wait(t.Context()))
		time.Sleep(5 * time.Millisecond)
		errOwn := errors.New("own")
		value, err := ratelimit.DoValue(t.Context(), limit, func(context.Context) (int, error) { return 7, errOwn })
		assert.Equal(t, errOwn, err, "as it is")
		assert.Equal(t, 7, value)

		for range 3 { // they take nothing
			err = limit.Do(t.Context(), func(context.Context) error { panic("called") })
			want := ratelimit.RateError{Name: "inventory", Rate: 50, Reason: ratelimit.ReasonRate, After: 15 * time.Millisecond}
			assert.Equal(t, want, refusal(t, err))
		}
		require.ErrorIs(t, err, ratelimit.ErrRate)
		require.EqualError(t, err,
			"inventory: the rate limit is reached (50 calls/s): call again in 15ms")
		assert.Equal(t, resilience.ClassRefused, resilience.Classify(err))
		assert.Equal(t, "rate_limited", resilience.ErrorType(err))
		after, ok := resilience.Pushback(err)
		assert.True(t, ok)

		time.Sleep(after - 1)
		assert.False(t, limit.Allow())
		assert.Equal(t, time.Nanosecond, refusal(t, limit.Wait(t.Context())).After)
		time.Sleep(time.Nanosecond)
		require.NoError(t, limit.Do(t.Context(), succeed), "exactly then")
		assert.False(t, limit.Allow())
		assert.Equal(t, 20*time.Millisecond, time.Since(began))
	})
}

// A retry outside of a limit does not repeat what was refused.
func TestRefusalIsNotRetried(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limit := ratelimit.MustNew("l", 1)
		policy := resilience.Chain(retry.MustNew("r"), limit)
		require.NoError(t, policy.Do(t.Context(), succeed))
		began := time.Now()
		require.ErrorIs(t, policy.Do(t.Context(), succeed), ratelimit.ErrRate)
		assert.Zero(t, time.Since(began))
		assert.Empty(t, resilience.Check(retry.MustNew("r"), limit))
	})
}

// What panics, leaves its goroutine or fails has used its turn all the same.
func TestPanic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limit := ratelimit.MustNew("l", 1)
		assert.PanicsWithValue(t, "boom", func() { _ = limit.Do(t.Context(), func(context.Context) error { panic("boom") }) })
		assert.False(t, limit.Allow())
		time.Sleep(time.Second)
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = limit.Do(t.Context(), func(context.Context) error { runtime.Goexit(); return nil })
		}()
		<-done
		assert.False(t, limit.Allow())
		time.Sleep(time.Second)
		assert.True(t, limit.Allow())
	})
}

// Under the clock of a simulator nothing waits for real.
func TestWithClock(t *testing.T) {
	t.Parallel()
	clk := &virtual{now: time.Unix(0, 0)}
	limit := ratelimit.MustNew("l", 1, ratelimit.WithMaxWait(time.Hour), ratelimit.WithClock(clk))
	for range 100 {
		require.NoError(t, limit.Wait(t.Context()))
	}
	assert.Equal(t, time.Unix(99, 0), clk.now)
	_, err := ratelimit.New("l", 1, ratelimit.WithClock(nil))
	require.NoError(t, err)
}

// virtual is a clock that jumps to the end of each wait.
type virtual struct {
	clock.Clock // nil: the rest is not called
	now         time.Time
}

func (c *virtual) Now() time.Time { return c.now }

func (c *virtual) Wait(ctx context.Context, d time.Duration) error {
	c.now = c.now.Add(d)
	return ctx.Err()
}

func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	limit := ratelimit.MustNew("l", 1e6, ratelimit.WithBurst(1e6), ratelimit.WithMaxWait(time.Second))
	assert.Zero(t, testing.AllocsPerRun(1000, func() {
		if v, err := ratelimit.DoValue(ctx, limit, func(context.Context) (int, error) { return 1, nil }); v != 1 || err != nil {
			t.Error("another result")
		}
		if limit.Wait(ctx) != nil || !limit.Allow() {
			t.Error("another result")
		}
	}))
	none := ratelimit.MustNew("l", 1e-6)
	none.Allow()
	assert.Zero(t, testing.AllocsPerRun(1000, func() {
		if none.Allow() {
			t.Error("another result")
		}
	}), "a denial")
}
