package ratelimit_test

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/ratelimit"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

func TestInvalid(t *testing.T) {
	t.Parallel()
	for want, rate := range map[string]float64{
		"rate: 0 is not allowed: want 0.000001 to 1000000 calls a second": 0,
		"rate: -1 is not allowed":                     -1,
		"rate: 1e-07 is not allowed":                  1e-7,
		"rate: 1.0000000000000001e+06 is not allowed": math.Nextafter(1e6, 2e6),
		"rate: NaN is not allowed":                    math.NaN(),
		"rate: +Inf is not allowed":                   math.Inf(1),
		"rate: -Inf is not allowed":                   math.Inf(-1),
	} {
		_, err := ratelimit.New("l", rate)
		require.ErrorContains(t, err, `ratelimit: "l": `+want)
		limit := ratelimit.MustNew("l", 5)
		require.EqualError(t, limit.SetRate(rate), err.Error())
		assert.InDelta(t, 5, limit.Rate(), 0, "it stays")
	}
	for want, option := range map[string]ratelimit.Option{
		"burst: 0 is not allowed: want 1 to 1000000 at 10 calls a second": ratelimit.WithBurst(0),
		"burst: -1 is not allowed":                                        ratelimit.WithBurst(-1),
		"burst: 1000001 is not allowed":                                   ratelimit.WithBurst(1_000_001),
		"max_wait: -1ns is not allowed: want 0s":                          ratelimit.WithMaxWait(-1),
		"telemetry: WithMeterProvider: nil is not allowed":                ratelimit.WithTelemetry(telemetry.WithMeterProvider(nil)),
	} {
		_, err := ratelimit.New("l", 10, nil, option)
		require.ErrorContains(t, err, `ratelimit: "l": `+want)
	}
	_, err := ratelimit.New("l", 1e-3, ratelimit.WithBurst(1_000_000))
	require.NoError(t, err)
	_, err = ratelimit.New("l", 1e-4, ratelimit.WithBurst(1_000_000))
	require.EqualError(t, err, `ratelimit: "l": burst: 1000000 is not allowed: want 1 to 100000 at 0.0001 calls a second`)
	require.EqualError(t, ratelimit.MustNew("l", 1, ratelimit.WithBurst(1_000_000)).SetRate(1e-4), err.Error())
	_, err = ratelimit.New(" ", 1)
	require.ErrorContains(t, err, "ratelimit: name: ")
	assert.Panics(t, func() { ratelimit.MustNew("l", 0) })

	limit := ratelimit.MustNew("l", 1)
	assert.Equal(t, resilience.Description{Kind: "ratelimit", Name: "l"}, limit.Describe())
	assert.Equal(t, "l", limit.Name())
	//nolint:staticcheck // a nil context is what is tested
	for want, err := range map[string]error{
		"ratelimit: the operation is nil": limit.Do(t.Context(), nil),
		"ratelimit: the context is nil":   limit.Do(nil, succeed),
		"ratelimit: the context is  nil":  limit.Wait(nil),
	} {
		require.EqualError(t, err, strings.ReplaceAll(want, "  ", " "))
		assert.Equal(t, resilience.ClassPermanent, resilience.Classify(err))
	}
	assert.True(t, limit.Allow(), "none of them took the turn")
}

func TestNilLimiter(t *testing.T) {
	t.Parallel()
	var none *ratelimit.Limiter
	for range 10 {
		require.True(t, none.Allow())
		require.NoError(t, none.Wait(t.Context()))
		value, err := ratelimit.DoValue(t.Context(), none, func(context.Context) (int, error) { return 7, nil })
		require.NoError(t, err)
		require.Equal(t, 7, value)
	}
	require.ErrorContains(t, none.Do(t.Context(), nil), "the operation is nil")
	require.ErrorContains(t, none.SetRate(1), "a nil *Limiter has no rate to set")
	assert.Zero(t, none.Rate())
	assert.Empty(t, none.Name())
	none.Warn(t.Context(), resilience.Problem{})
	assert.Equal(t, resilience.Description{Kind: "ratelimit"}, none.Describe())
}
