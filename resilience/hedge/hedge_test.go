package hedge_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/hedge"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

func TestInvalidOptions(t *testing.T) {
	t.Parallel()
	adaptive := hedge.WithAdaptiveDelay
	for _, c := range []struct {
		want string
		opts []hedge.Option
	}{
		{`classifier: nil is not allowed: want a function`, []hedge.Option{hedge.WithClassifier(nil)}},
		{`max_copies: 1 is not allowed: want 2 to 10`, []hedge.Option{hedge.WithMaxCopies(1)}},
		{`max_copies: 11 is not allowed`, []hedge.Option{hedge.WithMaxCopies(11)}},
		{`max_copies: -1 is not allowed`, []hedge.Option{hedge.WithMaxCopies(-1)}},
		{`delay: 0s is not allowed: want 1µs to 1h0m0s`, []hedge.Option{hedge.WithDelay(0)}},
		{`delay: -1s is not allowed`, []hedge.Option{hedge.WithDelay(-time.Second)}},
		{`delay: 1h0m0.000000001s is not allowed`, []hedge.Option{hedge.WithDelay(time.Hour + 1)}},
		{`share: 0 is not allowed: want 0.001 to 0.5 of the calls`, []hedge.Option{adaptive(0, time.Second, time.Minute)}},
		{`share: 0.51 is not allowed`, []hedge.Option{adaptive(0.51, time.Second, time.Minute)}},
		{`share: -0.05 is not allowed`, []hedge.Option{adaptive(-0.05, time.Second, time.Minute)}},
		{`share: NaN is not allowed`, []hedge.Option{adaptive(math.NaN(), time.Second, time.Minute)}},
		{`share: +Inf is not allowed`, []hedge.Option{adaptive(math.Inf(1), time.Second, time.Minute)}},
		{`lowest_delay: 0s is not allowed: want 1µs to 1h0m0s`, []hedge.Option{adaptive(0.05, 0, time.Minute)}},
		{`lowest_delay: 2h0m0s is not allowed`, []hedge.Option{adaptive(0.05, 2*time.Hour, 3*time.Hour)}},
		{
			`highest_delay: 2h0m0s is not allowed: want more than the lowest, 1s, up to 1h0m0s`,
			[]hedge.Option{adaptive(0.05, time.Second, 2*time.Hour)},
		},
		{`highest_delay: 1s is not allowed`, []hedge.Option{adaptive(0.05, time.Second, time.Second)}},
		{`highest_delay: -1s is not allowed`, []hedge.Option{adaptive(0.05, time.Second, -time.Second)}},
		{`telemetry: WithMeterProvider: nil is not allowed`, []hedge.Option{hedge.WithTelemetry(telemetry.WithMeterProvider(nil))}},
	} {
		_, err := hedge.New("search", c.opts...)
		require.ErrorContains(t, err, `hedge: "search": `+c.want)
		assert.Panics(t, func() { hedge.MustNew("search", c.opts...) })
	}
	for _, name := range []string{"", "  ", "\xff"} {
		_, err := hedge.New(name)
		assert.ErrorContains(t, err, "hedge: ")
	}
	for _, opts := range [][]hedge.Option{
		nil,
		{nil, hedge.WithMaxCopies(10), hedge.WithDelay(time.Microsecond)},
		{hedge.WithDelay(time.Hour), hedge.WithBudget(nil), hedge.WithClock(nil)},
		{adaptive(0.001, time.Microsecond, time.Hour)},
		{adaptive(0.5, time.Microsecond, 2*time.Microsecond)},
		{hedge.WithDelay(-1), adaptive(0.5, time.Second, time.Minute)}, // the last holds
	} {
		_, err := hedge.New("search", opts...)
		assert.NoError(t, err)
	}
}

func TestDelayInForce(t *testing.T) {
	t.Parallel()
	var none *hedge.Hedge
	assert.Zero(t, none.Delay())
	assert.Equal(t, time.Minute, hedge.MustNew("h").Delay(), "it begins at the upper bound")
	assert.Equal(t, time.Second, hedge.MustNew("h", hedge.WithDelay(time.Second)).Delay())
	adaptive := hedge.WithAdaptiveDelay(0.05, time.Millisecond, 3*time.Second)
	assert.Equal(t, 3*time.Second, hedge.MustNew("h", hedge.WithDelay(time.Second), adaptive).Delay())
	assert.Equal(t, time.Second, hedge.MustNew("h", adaptive, hedge.WithDelay(time.Second)).Delay())
}

func TestName(t *testing.T) {
	t.Parallel()
	var none *hedge.Hedge
	assert.Empty(t, none.Name())
	assert.Equal(t, "search", hedge.MustNew("search").Name())
}

func TestWhatCannotBeCalled(t *testing.T) {
	t.Parallel()
	h := hedge.MustNew("h", hedge.WithTelemetry(telemetry.Off()))
	one := func(context.Context) (int, error) { return 1, nil }
	for _, h := range []*hedge.Hedge{nil, h} {
		_, err := hedge.DoValue[int](t.Context(), h, nil, nil)
		assert.EqualError(t, err, "hedge: the operation is nil")
		assert.Equal(t, resilience.ClassPermanent, resilience.Classify(err))
		_, err = hedge.Wrap[int](h, nil, nil)(t.Context())
		assert.EqualError(t, err, "hedge: the operation is nil")
		_, err = hedge.Wrap1[string, int](h, nil, nil)(t.Context(), "x")
		assert.EqualError(t, err, "hedge: the operation is nil")
	}
	_, err := hedge.DoValue(nil, h, one, nil) //nolint:staticcheck // that is the point
	assert.EqualError(t, err, "hedge: the context is nil")
	assert.Equal(t, resilience.ClassPermanent, resilience.Classify(err))

	value, err := hedge.DoValue(nil, nil, one, nil) //nolint:staticcheck // a nil *Hedge asks nothing
	assert.NoError(t, err)
	assert.Equal(t, 1, value)
}

// A nil *Hedge and the zero value hand on the caller's context and whatever op returns.
func TestNilHedge(t *testing.T) {
	t.Parallel()
	errOwn := errors.New("own")
	for _, h := range []*hedge.Hedge{nil, {}} {
		calls := 0
		value, err := hedge.Wrap1(h, func(ctx context.Context, arg string) (string, error) {
			assert.Equal(t, t.Context(), ctx)
			calls++
			return arg + arg, errOwn
		}, nil)(t.Context(), "ab")
		assert.Equal(t, "abab", value)
		assert.Equal(t, errOwn, err)
		assert.Equal(t, 1, calls)
		assert.PanicsWithValue(t, "op", func() {
			_, _ = hedge.DoValue(t.Context(), h, func(context.Context) (int, error) { panic("op") }, nil)
		})
	}
}
