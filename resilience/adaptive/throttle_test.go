package adaptive_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"

	"github.com/observable-go/toolkit/internal/signaltest"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/adaptive"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// chanceClock returns a clock that stands still and draws what rand draws from seed on.
func chanceClock(seed uint64) *fakeClock {
	random := rand.New(rand.NewPCG(seed, 21))
	return &fakeClock{now: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), random: random.Float64}
}

// fill makes a throttle, on a clock that lets everything pass, see so many requests and
// accepts.
func fill(t *testing.T, accepts, others int, opts ...adaptive.Option) *adaptive.Throttle {
	t.Helper()
	c := chanceClock(0)
	c.random = func() float64 { return 1 - 1e-16 }
	throttle := adaptive.MustNewThrottle("t", append([]adaptive.Option{adaptive.WithClock(c)}, opts...)...)
	for range accepts {
		require.NoError(t, throttle.Do(t.Context(), returning(nil)))
	}
	for range others {
		require.ErrorIs(t, throttle.Do(t.Context(), returning(errRetryable)), errRetryable)
	}
	return throttle
}

// Equation 21-1 of the book.
func TestProbability(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		accepts, others int
		k               float64
		want            float64
	}{
		{0, 0, 2, 0},
		{0, 1, 2, 1. / 2},
		{0, 99, 2, 99. / 100},
		{50, 50, 2, 0},
		{50, 51, 2, 1. / 102},
		{10, 90, 2, 80. / 101},
		{10, 90, 1.1, 89. / 101},
		{100, 10, 1.1, 0},
		{100, 11, 1.1, 1. / 112},
		{10, 90, 10, 0},
		{10, 91, 10, 1. / 102},
		{100, 0, 1.1, 0},
	} {
		throttle := fill(t, tt.accepts, tt.others, adaptive.WithMultiplier(tt.k))
		assert.InDelta(t, tt.want, throttle.Probability(), 1e-9, "%+v", tt)
	}
}

func TestWhatIsAccepted(t *testing.T) {
	t.Parallel()
	timeout := adaptive.WithClassifier(func(err error) resilience.Class {
		if errors.Is(err, context.DeadlineExceeded) {
			return resilience.ClassPermanent
		}
		return resilience.ClassUnknown
	})
	const accept, reject, neither = 0, 2. / 3, 1. / 2 // after one request that was not accepted
	for name, tt := range map[string]struct {
		err    error
		cancel bool
		opt    adaptive.Option
		want   float64
	}{
		"success":                    {err: nil, want: accept},
		"success after cancellation": {err: nil, cancel: true, want: accept},
		"permanent":                  {err: errPermanent, want: accept},
		"retryable":                  {err: errRetryable, want: reject},
		"unknown":                    {err: errPlain, want: reject},
		"timeout":                    {err: context.DeadlineExceeded, want: reject},
		"permanent by a classifier":  {err: context.DeadlineExceeded, opt: timeout, want: accept},
		"refused":                    {err: errRefused, want: neither},
		"not sent":                   {err: notSentError{}, want: neither},
		"a retry gave up":            {err: gaveUpError{errRetryable}, want: reject},
		"it gave up on an answer":    {err: gaveUpError{errPermanent}, want: accept},
		"it gave up on a refusal":    {err: gaveUpError{errRefused}, want: neither},
		"it gave up before it began": {err: gaveUpError{nil}, want: neither},
		"cancelled":                  {err: fmt.Errorf("x: %w", context.Canceled), want: neither},
		"cancelled by the caller":    {err: errPlain, cancel: true, want: neither},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			throttle := fill(t, 0, 1, tt.opt)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			assert.Equal(t, tt.err, throttle.Do(ctx, func(context.Context) error {
				if tt.cancel {
					cancel()
				}
				return tt.err
			}), "as it is")
			assert.InDelta(t, tt.want, throttle.Probability(), 1e-9)
		})
	}
}

// What is rejected here counts as a request too.
func TestRejectionsCount(t *testing.T) {
	t.Parallel()
	c := chanceClock(0)
	next := 1 - 1e-16
	c.random = func() float64 { return next }
	throttle := adaptive.MustNewThrottle("t", adaptive.WithClock(c))
	require.ErrorIs(t, throttle.Do(t.Context(), returning(errPlain)), errPlain)
	next = 0.5
	require.ErrorIs(t, throttle.Do(t.Context(), returning(errPlain)), errPlain, "with 1/2, drawn from [0, 1)")
	next = 0.66
	calls := 0
	err := throttle.Do(t.Context(), func(context.Context) error { calls++; return nil })
	assert.Zero(t, calls)
	require.ErrorIs(t, err, adaptive.ErrThrottled)
	assert.InDelta(t, 3./4, throttle.Probability(), 1e-9)
	var e *adaptive.ThrottleError
	require.ErrorAs(t, err, &e)
	assert.Equal(t, &adaptive.ThrottleError{Name: "t", Probability: 2. / 3}, e)
	assert.Equal(t, resilience.ClassRefused, resilience.Classify(err))
	assert.Equal(t, "throttled_locally", resilience.ErrorType(err))
	assert.NotErrorIs(t, err, adaptive.ErrRate)
	assert.EqualError(t, err, "t: throttled locally: the callee accepts too little, 66.7 % of the calls are not sent")
}

func TestWindow(t *testing.T) {
	t.Parallel()
	for _, span := range []time.Duration{time.Second, 2 * time.Minute, time.Hour} {
		c := chanceClock(0)
		c.random = func() float64 { return 1 - 1e-16 }
		throttle := adaptive.MustNewThrottle("t", adaptive.WithClock(c), adaptive.WithWindow(span))
		for range 9 {
			_ = throttle.Do(t.Context(), returning(errPlain))
		}
		c.pass(span - span/24)
		assert.InDelta(t, 0.9, throttle.Probability(), 1e-9, span)
		c.pass(span / 24)
		assert.Zero(t, throttle.Probability(), span)
		c.pass(time.Second)
		_ = throttle.Do(t.Context(), returning(nil)) // forgets that there was trouble
		assert.Zero(t, throttle.Probability(), span)
		_ = throttle.Do(t.Context(), returning(errPlain))
		_ = throttle.Do(t.Context(), returning(errPlain))
		assert.InDelta(t, 1./4, throttle.Probability(), 1e-9, span)
	}
}

func TestPermit(t *testing.T) {
	t.Parallel()
	throttle := fill(t, 0, 1)
	permit, err := throttle.Allow(t.Context())
	require.NoError(t, err)
	assert.InDelta(t, 1./2, throttle.Probability(), 1e-9, "nothing is counted before the end")
	permit.Done(errRetryable)
	permit.Done(errRetryable)
	permit.Done(nil)
	assert.InDelta(t, 2./3, throttle.Probability(), 1e-9, "once")

	dropped, err := throttle.Allow(t.Context())
	require.NoError(t, err)
	_ = dropped
	assert.InDelta(t, 2./3, throttle.Probability(), 1e-9)

	ctx, cancel := context.WithCancelCause(t.Context())
	canceled, err := throttle.Allow(ctx)
	require.NoError(t, err)
	cancel(errGone)
	canceled.Done(errPlain)
	assert.InDelta(t, 2./3, throttle.Probability(), 1e-9)

	_, err = throttle.Allow(ctx)
	require.ErrorIs(t, err, errGone)
	require.ErrorIs(t, err, context.Canceled)
	assert.NotErrorIs(t, err, adaptive.ErrThrottled)
	calls := 0
	require.ErrorIs(t, throttle.Do(ctx, func(context.Context) error { calls++; return nil }), errGone)
	assert.Zero(t, calls)
	_, err = throttle.Allow(nil) //nolint:staticcheck // a nil context is what is tested
	assert.EqualError(t, err, "adaptive: the context is nil")
}

// An operation that does not return has been neither accepted nor not.
func TestExitsFromThrottle(t *testing.T) {
	t.Parallel()
	for name, exit := range exits {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			throttle := fill(t, 0, 1)
			recovered := leaving(func() { _ = throttle.Do(t.Context(), func(context.Context) error { exit(); return nil }) })
			if name == "panic" {
				assert.Equal(t, "boom", recovered)
			}
			assert.InDelta(t, 1./2, throttle.Probability(), 1e-9)
		})
	}
}

func TestThrottleUnderRace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // the time stands still, so nothing leaves the window
		throttle := adaptive.MustNewThrottle("t")
		var group sync.WaitGroup
		var accepts, others, rejected atomic.Int64
		for w := range 16 {
			group.Go(func() {
				for i := range 500 {
					var answer error
					if (w+i)%3 != 0 {
						answer = errRetryable
					}
					switch err := throttle.Do(t.Context(), returning(answer)); {
					case err == nil:
						accepts.Add(1)
					case errors.Is(err, adaptive.ErrThrottled):
						rejected.Add(1)
					default:
						others.Add(1)
					}
				}
			})
		}
		group.Wait()
		requests := float64(16 * 500)
		assert.InDelta(t, max(0, (requests-2*float64(accepts.Load()))/(requests+1)), throttle.Probability(), 1e-9, "nothing is lost")
		assert.Positive(t, rejected.Load())
	})
}

func TestThrottleTelemetry(t *testing.T) {
	t.Parallel()
	signals := signaltest.New()
	c := chanceClock(0)
	next := 1 - 1e-16
	c.random = func() float64 { return next }
	throttle := adaptive.MustNewThrottle("t", adaptive.WithTelemetry(signals.Metrics()...), adaptive.WithClock(c))
	for _, err := range []error{nil, errPlain, errRefused, errPermanent, errPlain, errPlain, errPlain} {
		_ = throttle.Do(t.Context(), returning(err))
	}
	next = 0
	events := signals.Span(t.Context(), func(ctx context.Context) { _ = throttle.Do(ctx, returning(nil)) })
	assert.Equal(t, []signaltest.Event{{Name: "resilience.call.rejected", Attributes: map[attribute.Key]any{
		telemetry.AttrPolicyName: "t", telemetry.AttrPolicyKind: "throttle", "resilience.rejection.reason": "throttled",
	}}}, events)
	assert.InDeltaMapValues(t, map[string]float64{
		"resilience.throttle.calls t admitted": 7, "resilience.throttle.calls t rejected": 1,
		"resilience.throttle.rejection_ratio t": (7. - 2*2) / 8,
	}, signals.All(t), 1e-9)
	throttle.Warn(t.Context(), resilience.Problem{Reason: resilience.NestedRetries, Detail: "x"})
	assert.Equal(t, map[string]float64{"nested_retries t": 1}, signals.Metric(t, "resilience.composition.warnings"))
	assert.Equal(t, resilience.Description{Kind: "throttle", Name: "t"}, throttle.Describe())
}
