package adaptive_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/internal/signaltest"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/adaptive"
)

// throttled returns a limiter that was made now and limits to 3.02848 calls a second, as in
// the table of the AWS SDKs (see cubic_test.go), with the bucket as good as drained.
func throttled(t *testing.T, opts ...adaptive.Option) *adaptive.RateLimiter {
	t.Helper()
	l := adaptive.MustNewRateLimiter("l", opts...)
	for i := range 10 {
		time.Sleep(200 * time.Millisecond)
		var err error
		if i == 9 {
			err = errSlowDown
		}
		require.Equal(t, err, l.Do(t.Context(), returning(err)))
	}
	require.InDelta(t, 3.02848, l.Rate(), 1e-9)
	for range 3 { // the bucket holds one second's worth
		require.ErrorIs(t, l.Do(t.Context(), returning(errRefused)), errRefused)
	}
	return l
}

// The table of the AWS SDKs through the policy: what it does not use until it limits is not
// computed.
func TestUpdatesOfPolicy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := adaptive.MustNewRateLimiter("l")
		inf := math.Inf(1)
		for i, u := range []struct {
			throttled      bool
			measured, rate float64
		}{
			{false, 0, inf}, {false, 0, inf}, {false, 4.8, inf}, {false, 4.8, inf}, {false, 4.16, inf}, {false, 4.16, inf},
			{false, 4.16, inf}, {false, 5.632, inf}, {false, 5.632, inf}, {true, 4.3264, 3.02848},
			{false, 4.3264, 3.4866391734702598}, {false, 4.3264, 3.8218744160402554}, {false, 5.665280, 4.053385727709987},
			{false, 5.665280, 4.200373108479455}, {false, 4.333056, 4.282036558348658}, {true, 4.333056, 2.99742559084406},
			{false, 4.333056, 3.4522263943863463},
		} {
			time.Sleep(200 * time.Millisecond)
			var err error
			if u.throttled {
				err = errSlowDown
			}
			assert.Equal(t, err, l.Do(t.Context(), returning(err)), "as it is")
			assert.InDelta(t, u.measured, l.Measured(), 1e-9, "%d ms", 200*(i+1))
			if u.rate == inf {
				assert.True(t, math.IsInf(l.Rate(), 1), "%d ms", 200*(i+1))
			} else {
				assert.InDelta(t, u.rate, l.Rate(), 1e-9, "%d ms", 200*(i+1))
			}
		}
	})
}

// Calls that were sent before the last throttling answer tell nothing new by being
// throttled.
func TestOneCutForCallsThatWereUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := adaptive.MustNewRateLimiter("l")
		for range 100 {
			require.NoError(t, l.Do(t.Context(), returning(nil)))
			time.Sleep(10 * time.Millisecond)
		}
		var group sync.WaitGroup
		send := func(took time.Duration, err error) {
			group.Go(func() {
				assert.Equal(t, err, l.Do(t.Context(), func(context.Context) error { time.Sleep(took); return err }))
			})
		}
		send(10*time.Millisecond, errSlowDown) // all before there is a limit
		send(20*time.Millisecond, errSlowDown)
		send(30*time.Millisecond, errSlowDown)
		time.Sleep(15 * time.Millisecond)
		first := l.Rate()
		assert.InDelta(t, 0.7*l.Measured(), first, 1e-9)
		send(20*time.Millisecond, errSlowDown) // after the first cut
		time.Sleep(16 * time.Millisecond)
		assert.InDelta(t, first, l.Rate(), 0)
		send(20*time.Millisecond, errSlowDown) // before the second cut
		time.Sleep(5 * time.Millisecond)
		assert.InDelta(t, 0.7*first, l.Rate(), 1e-9, "that one was sent at the rate of now")
		group.Wait()
		assert.InDelta(t, 0.7*first, l.Rate(), 1e-9)
		require.NoError(t, l.Do(t.Context(), returning(nil)))
		assert.Greater(t, l.Rate(), 0.7*first, "any other answer makes it grow")
	})
}

func TestDeadContextOfLimiter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for name, l := range map[string]*adaptive.RateLimiter{"free": adaptive.MustNewRateLimiter("l"), "limited": throttled(t)} {
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(errGone)
			calls := 0
			err := l.Do(ctx, func(context.Context) error { calls++; return nil })
			assert.Zero(t, calls, name)
			require.ErrorIs(t, err, errGone, name)
			require.ErrorIs(t, err, context.Canceled, name)
			assert.ErrorContains(t, err, `l: the context ended before the call: gone: context canceled`)
		}
	})
}

// An operation that does not return leaves nothing behind that would hold up others.
func TestExitsFromLimiter(t *testing.T) {
	t.Parallel()
	for name, exit := range exits {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := throttled(t)
				recovered := leaving(func() { _ = l.Do(t.Context(), func(context.Context) error { exit(); return nil }) })
				if name == "panic" {
					assert.Equal(t, "boom", recovered)
				}
				began := time.Now()
				require.NoError(t, l.Do(t.Context(), returning(nil)))
				assert.InDelta(t, 1/3.02848, time.Since(began).Seconds(), 1e-6)
			})
		})
	}
}

func TestRateError(t *testing.T) {
	t.Parallel()
	e := &adaptive.RateError{Name: "inventory", Reason: adaptive.ReasonWait, After: 1500 * time.Millisecond, Rate: 0.5}
	assert.EqualError(t, e,
		"inventory: the callee throttles: at 0.5 calls/s this one would wait 1.5s, longer than it may")
	e.Reason = adaptive.ReasonDeadline
	assert.ErrorContains(t, e, "longer than its deadline allows")
	assert.ErrorIs(t, fmt.Errorf("x: %w", e), adaptive.ErrRate)
	assert.NotErrorIs(t, e, adaptive.ErrThrottled)
	assert.Equal(t, resilience.ClassRefused, resilience.Classify(e))
	assert.Equal(t, "adaptive_rate", resilience.ErrorType(e))
	after, ok := resilience.Pushback(e)
	assert.True(t, ok)
	assert.Equal(t, 1500*time.Millisecond, after)
}

// fakeClock is a clock that stands still: what waits on it has waited.
type fakeClock struct {
	clock.Clock // nil: what is not below is not used

	mu     sync.Mutex
	now    time.Time
	random func() float64
}

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) Random() float64 { return c.random() }

func (c *fakeClock) NewSignal() clock.Signal { return (*fakeSignal)(c) }

func (c *fakeClock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

type fakeSignal fakeClock

func (s *fakeSignal) Set() {}

func (s *fakeSignal) Wait(_ context.Context, d time.Duration) clock.Wake {
	(*fakeClock)(s).pass(d)
	return clock.WakeElapsed
}

func TestLimiterOnAnotherClock(t *testing.T) {
	t.Parallel()
	began := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	c := &fakeClock{now: began}
	l := adaptive.MustNewRateLimiter("l", adaptive.WithClock(c))
	_ = l.Do(t.Context(), returning(errSlowDown))
	for range 4 {
		require.ErrorIs(t, l.Do(t.Context(), returning(errRefused)), errRefused)
	}
	assert.Equal(t, 6*time.Second, c.now.Sub(began), "one from the bucket, and three at half a call a second")
}

func TestLimiterUnderRace(t *testing.T) {
	t.Parallel()
	l := adaptive.MustNewRateLimiter("l", adaptive.WithMaxWait(5*time.Millisecond))
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	var sent, refused atomic.Int64
	for w := range 16 {
		group.Go(func() {
			for i := range 300 {
				caller := ctx
				if (w+i)%5 == 0 {
					short, stop := context.WithTimeout(ctx, time.Duration(i)*time.Microsecond)
					defer stop()
					caller = short
				}
				err := l.Do(caller, func(context.Context) error {
					sent.Add(1)
					if i > 100 && i%50 == 0 {
						return errSlowDown
					}
					return nil
				})
				if errors.Is(err, adaptive.ErrRate) {
					refused.Add(1)
				}
				_, _ = l.Rate(), l.Measured()
			}
		})
	}
	group.Wait()
	cancel()
	assert.Positive(t, sent.Load())
	assert.False(t, math.IsInf(l.Rate(), 1))
	t.Logf("%d sent, %d refused", sent.Load(), refused.Load())
}

func TestLimiterTelemetry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		signals := signaltest.New()
		l := adaptive.MustNewRateLimiter("l", adaptive.WithTelemetry(signals.Metrics()...))
		require.NoError(t, l.Do(t.Context(), returning(nil)))
		assert.Equal(t, map[string]float64{"resilience.adaptive.calls l admitted": 1, "resilience.adaptive.measured_rate l": 0}, signals.All(t),
			"no rate as long as there is none")

		_ = l.Do(t.Context(), returning(errSlowDown)) // half a call a second from here on
		_ = l.Do(t.Context(), returning(errRefused))  // takes the only token
		events := signals.Span(t.Context(), func(ctx context.Context) { _ = l.Do(ctx, returning(errRefused)) })
		require.Len(t, events, 1)
		assert.Equal(t, "resilience.call.waited", events[0].Name)
		assert.InDelta(t, 2, events[0].Attributes["resilience.wait"], 1e-6)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		events = signals.Span(ctx, func(ctx context.Context) { _ = l.Do(ctx, returning(nil)) })
		require.Len(t, events, 1)
		assert.Equal(t, "resilience.call.rejected", events[0].Name)
		assert.Equal(t, "deadline", events[0].Attributes["resilience.rejection.reason"])
		assert.InDelta(t, 2, events[0].Attributes["resilience.rejection.retry_after"], 1e-6)
		cancel()
		_ = l.Do(ctx, returning(nil))

		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_ = l.Do(ctx, returning(nil))

		assert.InDeltaMapValues(t, map[string]float64{
			"resilience.adaptive.calls l admitted": 4, "resilience.adaptive.calls l rejected": 1, "resilience.adaptive.calls l canceled": 2,
			"resilience.adaptive.rate l": 0.5, "resilience.adaptive.measured_rate l": l.Measured(),
			"resilience.adaptive.wait l": 1, "resilience.adaptive.wait l sum": 2,
		}, signals.All(t), 1e-9)
		l.Warn(t.Context(), resilience.Problem{Reason: resilience.NestedRetries, Detail: "x"})
		assert.Equal(t, map[string]float64{"nested_retries l": 1}, signals.Metric(t, "resilience.composition.warnings"))
		assert.Equal(t, resilience.Description{Kind: "adaptive", Name: "l"}, l.Describe())
	})
}

func TestFreeCallsDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	l := adaptive.MustNewRateLimiter("l")
	throttle := adaptive.MustNewThrottle("t")
	ctx := t.Context()
	op := func(context.Context) (int, error) { return 1, nil }
	assert.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = adaptive.DoValue(ctx, l, op) }))
	assert.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = adaptive.DoValue(ctx, throttle, op) }))

	_ = l.Do(ctx, func(context.Context) error { return errSlowDown })
	_ = l.Do(ctx, returning(errRefused))
	assert.LessOrEqual(t, testing.AllocsPerRun(1000, func() {
		if permit, err := throttle.Allow(ctx); err == nil {
			permit.Done(nil)
		}
	}), 0.0)
}
