package adaptive_test

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/adaptive"
	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// news are the ways to make something, by its kind.
var news = map[string]func(string, ...adaptive.Option) error{
	"RateLimiter": func(name string, opts ...adaptive.Option) error {
		_, err := adaptive.NewRateLimiter(name, opts...)
		return err
	},
	"Throttle": func(name string, opts ...adaptive.Option) error {
		_, err := adaptive.NewThrottle(name, opts...)
		return err
	},
	"Delays": func(name string, opts ...adaptive.Option) error {
		_, err := adaptive.NewDelays(name, second, opts...)
		return err
	},
}

func TestInvalidOptions(t *testing.T) {
	t.Parallel()
	nan, inf := math.NaN(), math.Inf(1)
	for kind, options := range map[string]map[string]adaptive.Option{
		"RateLimiter": {
			"max_wait: -1ns is not allowed: want 0 to 1h0m0s":                     adaptive.WithMaxWait(-1),
			"max_wait: 1h0m0.000000001s is not allowed":                           adaptive.WithMaxWait(time.Hour + 1),
			"throttling: nil is not allowed: want a function":                     adaptive.WithThrottling(nil),
			"classifier: nil is not allowed: want a function":                     adaptive.WithClassifier(nil),
			"telemetry: WithMeterProvider: nil is not allowed":                    adaptive.WithTelemetry(telemetry.WithMeterProvider(nil)),
			"WithWindow is not allowed for a RateLimiter: it is for a Throttle":   adaptive.WithWindow(time.Minute),
			"WithMultiplier is not allowed for a RateLimiter: it is for a Thrott": adaptive.WithMultiplier(2),
		},
		"Throttle": {
			"window: 999.999999ms is not allowed: want 1s to 1h0m0s":             adaptive.WithWindow(time.Second - 1),
			"window: 1h0m0.000000001s is not allowed":                            adaptive.WithWindow(time.Hour + 1),
			"multiplier: 1 is not allowed: want 1.1 to 10":                       adaptive.WithMultiplier(1),
			"multiplier: 10.1 is not allowed":                                    adaptive.WithMultiplier(10.1),
			"multiplier: NaN is not allowed":                                     adaptive.WithMultiplier(nan),
			"multiplier: +Inf is not allowed":                                    adaptive.WithMultiplier(inf),
			"classifier: nil is not allowed: want a function":                    adaptive.WithClassifier(nil),
			"telemetry: WithMeterProvider: nil is not allowed":                   adaptive.WithTelemetry(telemetry.WithMeterProvider(nil)),
			"WithMaxWait is not allowed for a Throttle: it is for a RateLimiter": adaptive.WithMaxWait(time.Second),
			"WithThrottling is not allowed for a Throttle":                       adaptive.WithThrottling(resilience.Throttled),
			"WithWeight is not allowed for a Throttle: it is for a Delays":       adaptive.WithWeight(0.5),
		},
		"Delays": {
			"weight: 0 is not allowed: want 0.001 to 1":                                   adaptive.WithWeight(0),
			"weight: 1.1 is not allowed":                                                  adaptive.WithWeight(1.1),
			"weight: NaN is not allowed":                                                  adaptive.WithWeight(nan),
			"min_factor: 0 is not allowed: want 0.01 to 1":                                adaptive.WithFactors(0, 4),
			"min_factor: 1.1 is not allowed":                                              adaptive.WithFactors(1.1, 4),
			"min_factor: NaN is not allowed":                                              adaptive.WithFactors(nan, 4),
			"max_factor: 0.9 is not allowed: want 1 to 100":                               adaptive.WithFactors(0.5, 0.9),
			"max_factor: 101 is not allowed":                                              adaptive.WithFactors(0.5, 101),
			"max_factor: +Inf is not allowed":                                             adaptive.WithFactors(0.5, inf),
			"max_delay: 0s is not allowed: want 1ns to 24h0m0s":                           adaptive.WithMaxDelay(0),
			"max_delay: -1s is not allowed":                                               adaptive.WithMaxDelay(-time.Second),
			"max_delay: 24h0m0.000000001s is not allowed":                                 adaptive.WithMaxDelay(24*time.Hour + 1),
			"telemetry: WithMeterProvider: nil is not allowed":                            adaptive.WithTelemetry(telemetry.WithMeterProvider(nil)),
			"WithClock is not allowed for a Delays: it is for a RateLimiter or Throttle":  adaptive.WithClock(nil),
			"WithClassifier is not allowed for a Delays: it is for a RateLimiter or Thro": adaptive.WithClassifier(resilience.Classify),
		},
	} {
		for want, option := range options {
			err := news[kind]("x", nil, option)
			require.ErrorContains(t, err, want, kind)
			require.ErrorContains(t, err, `adaptive: "x": `, kind)
		}
		for _, name := range []string{"", "  "} {
			require.ErrorContains(t, news[kind](name), "adaptive: name: ", kind)
		}
		require.NoError(t, news[kind]("x", nil, adaptive.WithTelemetry(telemetry.Off()), adaptive.WithTelemetry()), kind)
	}
	assert.Panics(t, func() { adaptive.MustNewRateLimiter("") })
	assert.Panics(t, func() { adaptive.MustNewThrottle("") })
	assert.Panics(t, func() { adaptive.MustNewDelays("", second) })

	_, err := adaptive.NewDelays("x", nil)
	require.EqualError(t, err, `adaptive: "x": backoff: nil is not allowed: want a backoff.Backoff`)
	_, err = adaptive.NewDelays("x", backoff.Constant{Interval: -1})
	require.EqualError(t, err, `adaptive: "x": backoff: Interval: -1ns is not allowed: want at least 0`)
}

func TestBounds(t *testing.T) {
	t.Parallel()
	for kind, options := range map[string][]adaptive.Option{
		"RateLimiter": {adaptive.WithMaxWait(0), adaptive.WithMaxWait(time.Hour), adaptive.WithClock(nil)},
		"Throttle": {
			adaptive.WithWindow(time.Second), adaptive.WithWindow(time.Hour),
			adaptive.WithMultiplier(1.1), adaptive.WithMultiplier(10), adaptive.WithClock(nil),
		},
		"Delays": {
			adaptive.WithWeight(0.001), adaptive.WithWeight(1), adaptive.WithFactors(0.01, 100), adaptive.WithFactors(1, 1),
			adaptive.WithMaxDelay(1), adaptive.WithMaxDelay(24 * time.Hour),
		},
	} {
		for _, option := range options {
			require.NoError(t, news[kind]("x", option), kind)
		}
	}
}

// A nil policy runs the operation once, and what cannot run is a permanent error.
func TestNil(t *testing.T) {
	t.Parallel()
	var noLimiter *adaptive.RateLimiter
	var noThrottle *adaptive.Throttle
	for _, p := range []resilience.Part{noLimiter, noThrottle} {
		calls := 0
		require.ErrorIs(t, p.Do(t.Context(), func(context.Context) error { calls++; return errSlowDown }), errSlowDown)
		assert.Equal(t, 1, calls)
		assert.EqualError(t, p.Do(t.Context(), nil), "adaptive: the operation is nil")
		p.Warn(t.Context(), resilience.Problem{})
		assert.Empty(t, p.Describe().Name)
	}
	for _, p := range []resilience.Policy{adaptive.MustNewRateLimiter("x"), adaptive.MustNewThrottle("x")} {
		for want, err := range map[string]error{
			"adaptive: the operation is nil": p.Do(t.Context(), nil),
			"adaptive: the context is nil":   p.Do(nil, returning(nil)), //nolint:staticcheck // a nil context is what is tested
		} {
			require.EqualError(t, err, want)
			assert.Equal(t, resilience.ClassPermanent, resilience.Classify(err))
		}
	}
	assert.True(t, math.IsInf(noLimiter.Rate(), 1))
	assert.Zero(t, noLimiter.Measured())
	assert.Zero(t, noThrottle.Probability())
	permit, err := noThrottle.Allow(t.Context())
	require.NoError(t, err)
	permit.Done(errPlain)

	value, err := adaptive.DoValue(t.Context(), noLimiter, func(context.Context) (int, error) { return 7, errPlain })
	assert.Equal(t, 7, value)
	assert.Equal(t, errPlain, err)
	value, err = adaptive.DoValue(t.Context(), adaptive.MustNewThrottle("x"), func(context.Context) (int, error) { return 7, errPlain })
	assert.Equal(t, 7, value, "beside an error too")
	assert.Equal(t, errPlain, err)
	_, err = adaptive.DoValue[int](t.Context(), noThrottle, nil)
	require.EqualError(t, err, "adaptive: the operation is nil")

	var noDelays *adaptive.Delays
	noDelays.Observe(resilience.ClassRetryable, true)
	assert.Zero(t, noDelays.Delay(0, 0, 0))
	assert.Zero(t, noDelays.FailureRatio())
	assert.InDelta(t, 1, noDelays.Factor(), 0)
	assert.Empty(t, noDelays.Name())
	assert.Equal(t, "d", adaptive.MustNewDelays("d", second).Name())
}
