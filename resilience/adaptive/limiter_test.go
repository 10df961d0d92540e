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

type throttlingError struct{ says func() bool }

func (*throttlingError) Error() string     { return "throttling" }
func (e *throttlingError) Throttled() bool { return e.says() }

func TestWhatThrottles(t *testing.T) {
	t.Parallel()
	yes, no := func() bool { return true }, func() bool { return false }
	onPlain := adaptive.WithThrottling(func(err error) bool { return errors.Is(err, errPlain) })
	classify := adaptive.WithClassifier(func(error) resilience.Class { return resilience.ClassRefused })
	for name, tt := range map[string]struct {
		err  error
		opt  adaptive.Option
		want bool
	}{
		"success":                     {err: nil},
		"plain":                       {err: errPlain},
		"retryable":                   {err: errRetryable},
		"pushback":                    {err: fmt.Errorf("x: %w", errSlowDown), want: true},
		"says so":                     {err: fmt.Errorf("x: %w", &throttlingError{yes}), want: true},
		"says no":                     {err: &throttlingError{no}},
		"panics":                      {err: &throttlingError{func() bool { panic("foreign") }}},
		"refused with a pushback":     {err: resilience.Refused(errSlowDown)},
		"by option":                   {err: errPlain, opt: onPlain, want: true},
		"not by option":               {err: &throttlingError{yes}, opt: onPlain},
		"refused, though by option":   {err: errRefused, opt: onPlain},
		"refused by a classifier":     {err: errSlowDown, opt: classify},
		"the refusal of another one":  {err: &adaptive.RateError{After: time.Second}},
		"a permanent one that pushes": {err: resilience.Permanent(errSlowDown), want: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := adaptive.MustNewRateLimiter("l", tt.opt)
			assert.Equal(t, tt.err, l.Do(t.Context(), returning(tt.err)))
			assert.Equal(t, tt.want, !math.IsInf(l.Rate(), 1))
			if tt.opt == nil && !errors.Is(tt.err, adaptive.ErrRate) && resilience.Classify(tt.err) != resilience.ClassRefused {
				assert.Equal(t, tt.want, adaptive.Throttled(tt.err))
			}
		})
	}
}

// What was refused was not sent.
func TestRefusedIsNotMeasured(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := adaptive.MustNewRateLimiter("l")
		for range 100 {
			_ = l.Do(t.Context(), returning(errRefused))
		}
		time.Sleep(500 * time.Millisecond)
		_ = l.Do(t.Context(), returning(nil))
		assert.InDelta(t, 0.8*1/0.5, l.Measured(), 1e-9)
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
		s := newSignals()
		l := adaptive.MustNewRateLimiter("l", s.option())
		require.NoError(t, l.Do(t.Context(), returning(nil)))
		got := s.collect(t)
		assert.Equal(t, map[string]float64{"resilience.adaptive.calls admitted": 1, "resilience.adaptive.measured_rate": 0}, got,
			"no rate as long as there is none")

		_ = l.Do(t.Context(), returning(errSlowDown)) // half a call a second from here on
		_ = l.Do(t.Context(), returning(errRefused))  // takes the only token
		events := s.span(t.Context(), func(ctx context.Context) { _ = l.Do(ctx, returning(errRefused)) })
		require.Len(t, events, 1)
		assert.Equal(t, "resilience.call.waited", events[0].Name)
		assert.InDelta(t, 2, attr(events[0], "resilience.wait").AsFloat64(), 1e-6)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		events = s.span(ctx, func(ctx context.Context) { _ = l.Do(ctx, returning(nil)) })
		require.Len(t, events, 1)
		assert.Equal(t, "resilience.call.rejected", events[0].Name)
		assert.Equal(t, "deadline", attr(events[0], "resilience.rejection.reason").AsString())
		assert.InDelta(t, 2, attr(events[0], "resilience.rejection.retry_after").AsFloat64(), 1e-6)
		cancel()
		_ = l.Do(ctx, returning(nil))

		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_ = l.Do(ctx, returning(nil))

		got = s.collect(t)
		for metric, want := range map[string]float64{
			"resilience.adaptive.calls admitted": 4, "resilience.adaptive.calls rejected": 1,
			"resilience.adaptive.calls canceled": 2, "resilience.adaptive.rate": 0.5, "resilience.adaptive.wait count": 1,
		} {
			assert.InDelta(t, want, got[metric], 1e-9, metric)
		}
		l.Warn(t.Context(), resilience.Problem{Reason: resilience.NestedRetries, Detail: "x"})
		assert.InDelta(t, 1, s.collect(t)["resilience.composition.warnings "], 0)
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
