package bulkhead_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience/bulkhead"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

func TestBadInput(t *testing.T) {
	t.Parallel()
	taken := &bulkhead.Vegas{}
	bulkhead.MustNew("first", 10, bulkhead.WithAdaptiveLimit(taken))
	takenToo := &bulkhead.Gradient2{}
	bulkhead.MustNew("first", 10, bulkhead.WithAdaptiveLimit(takenToo))
	options := func(opts ...bulkhead.Option) []bulkhead.Option { return opts }
	vegas := func(v *bulkhead.Vegas) []bulkhead.Option { return options(bulkhead.WithAdaptiveLimit(v)) }
	for _, tt := range []struct {
		name  string
		limit int
		opts  []bulkhead.Option
		want  string
	}{
		{"", 1, nil, `bulkhead: name: "" is not allowed: want 1 to 128 bytes of printable UTF-8`},
		{"b", 0, nil, `bulkhead: "b": limit: 0 is not allowed: want 1 to 1000000`},
		{"b", -1, nil, `bulkhead: "b": limit: -1 is not allowed: want 1 to 1000000`},
		{"b", 1_000_001, nil, `bulkhead: "b": limit: 1000001 is not allowed: want 1 to 1000000`},
		{"b", math.MinInt32, nil, `bulkhead: "b": limit: -2147483648 is not allowed: want 1 to 1000000`},
		{"b", 1, options(bulkhead.WithQueue(-1)), `bulkhead: "b": queue: -1 is not allowed: want 0 to 1000000`},
		{"b", 1, options(bulkhead.WithQueue(1_000_001)), `bulkhead: "b": queue: 1000001 is not allowed: want 0 to 1000000`},
		{
			"b", 1, options(bulkhead.WithMaxWait(-1)),
			`bulkhead: "b": max_wait: -1ns is not allowed: want 0, for no bound but the context, or more`,
		},
		{
			"b", 1, options(bulkhead.WithMaxWait(time.Second)),
			`bulkhead: "b": max_wait: 1s is not allowed: want 0, or a queue of 1 to 1000000, as nobody waits without one`,
		},
		{"b", 1, vegas(nil), `bulkhead: "b": adaptive_limit: a nil pointer is not allowed: want one to an algorithm`},
		{
			"b", 1, options(bulkhead.WithAdaptiveLimit((*bulkhead.Gradient2)(nil))),
			`bulkhead: "b": adaptive_limit: a nil pointer is not allowed: want one to an algorithm`,
		},
		{"b", 1, vegas(taken), `bulkhead: "b": adaptive_limit: an algorithm of another bulkhead is not allowed: want one of its own`},
		{
			"b", 1, options(bulkhead.WithAdaptiveLimit(takenToo)),
			`bulkhead: "b": adaptive_limit: an algorithm of another bulkhead is not allowed: want one of its own`,
		},
		{
			"b", 1, vegas(&bulkhead.Vegas{MinLimit: -1}),
			`bulkhead: "b": min_limit: -1 is not allowed: want 1 to 1000000`,
		},
		{
			"b", 1, options(bulkhead.WithAdaptiveLimit(&bulkhead.Gradient2{MinLimit: 1_000_001, MaxLimit: 1_000_001})),
			`bulkhead: "b": min_limit: 1000001 is not allowed: want 1 to 1000000`,
		},
		{
			"b", 1, vegas(&bulkhead.Vegas{MaxLimit: 1_000_001}),
			`bulkhead: "b": max_limit: 1000001 is not allowed: want 1, the min limit, to 1000000`,
		},
		{
			"b", 1, vegas(&bulkhead.Vegas{MinLimit: 10, MaxLimit: 9}),
			`bulkhead: "b": max_limit: 9 is not allowed: want 10, the min limit, to 1000000`,
		},
		{
			"b", 9, vegas(&bulkhead.Vegas{MinLimit: 10}),
			`bulkhead: "b": limit: 9 is not allowed: want 10 to 1000, the bounds of the adaptive limit`,
		},
		{
			"b", 1001, vegas(&bulkhead.Vegas{}),
			`bulkhead: "b": limit: 1001 is not allowed: want 1 to 1000, the bounds of the adaptive limit`,
		},
	} {
		b, err := bulkhead.New(tt.name, tt.limit, tt.opts...)
		require.EqualError(t, err, tt.want)
		assert.Nil(t, b)
		assert.PanicsWithError(t, tt.want, func() { bulkhead.MustNew(tt.name, tt.limit, tt.opts...) })
	}
}

func TestBadTelemetry(t *testing.T) {
	t.Parallel()
	_, err := bulkhead.New("b", 1, bulkhead.WithTelemetry(telemetry.WithMeterProvider(nil)))
	require.EqualError(t, err, `bulkhead: "b": telemetry: WithMeterProvider: nil is not allowed`)
}

// A New that failed leaves the algorithm to the next.
func TestFailedNewTakesNoAlgorithm(t *testing.T) {
	t.Parallel()
	for _, a := range []bulkhead.Algorithm{&bulkhead.Vegas{}, &bulkhead.Gradient2{}} {
		adaptive := bulkhead.WithAdaptiveLimit(a)
		for _, opt := range []bulkhead.Option{bulkhead.WithTelemetry(telemetry.WithMeterProvider(nil)), bulkhead.WithQueue(-1)} {
			_, err := bulkhead.New("b", 1, adaptive, opt)
			require.Error(t, err)
		}
		bulkhead.MustNew("b", 1, adaptive)
		_, err := bulkhead.New("b", 1, adaptive)
		require.ErrorContains(t, err, "adaptive_limit: an algorithm of another bulkhead is not allowed")
	}
}

func TestBoundsAreAllowed(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{1, bulkhead.MaxLimit} {
		b, err := bulkhead.New("b", limit, nil, bulkhead.WithQueue(bulkhead.MaxQueue), bulkhead.WithMaxWait(math.MaxInt64),
			bulkhead.WithClock(nil), bulkhead.WithAdaptiveLimit(nil), bulkhead.WithTelemetry(telemetry.Off()))
		require.NoError(t, err)
		assert.Equal(t, limit, b.Limit())
		take(t, b, limit)
		assert.Equal(t, limit, b.Inflight())
		assert.False(t, b.TryAcquire())
		for range limit {
			b.Release()
		}
		assert.Zero(t, b.Inflight())
	}
}

func TestSetLimitBounds(t *testing.T) {
	t.Parallel()
	b := bulkhead.MustNew("b", 3)
	for _, n := range []int{0, -1, math.MinInt, bulkhead.MaxLimit + 1, math.MaxInt} {
		err := b.SetLimit(n)
		require.Error(t, err)
		assert.Contains(t, err.Error(), `bulkhead: "b": limit: `)
		assert.Equal(t, 3, b.Limit())
	}
	for _, n := range []int{1, bulkhead.MaxLimit} {
		require.NoError(t, b.SetLimit(n))
		assert.Equal(t, n, b.Limit())
	}
}

func TestNil(t *testing.T) {
	t.Parallel()
	var b *bulkhead.Bulkhead
	assert.Empty(t, b.Name())
	assert.Zero(t, b.Limit())
	assert.Zero(t, b.Inflight())
	assert.Zero(t, b.Queued())
	require.NoError(t, b.Acquire(t.Context()))
	assert.True(t, b.TryAcquire())
	b.Release()
	require.EqualError(t, b.SetLimit(1), "bulkhead: a nil *Bulkhead has no limit to set")
	assert.Equal(t, "bulkhead", b.Describe().Kind)
}

// What was not made by New refuses every call, and does nothing else.
func TestZeroBulkhead(t *testing.T) {
	t.Parallel()
	var b bulkhead.Bulkhead
	assert.Equal(t, bulkhead.ReasonFull, refusal(t, b.Acquire(t.Context())).Reason)
	assert.False(t, b.TryAcquire())
	b.Release()
	assert.Zero(t, b.Inflight())
}
