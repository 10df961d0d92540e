package backoff_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience/backoff"
)

const (
	ms      = time.Millisecond
	longest = time.Duration(math.MaxInt64)
)

// delays returns the first delays of b, each drawn with u.
func delays(b backoff.Backoff, n int, u float64) []time.Duration {
	var all []time.Duration
	var prev time.Duration
	for i := range n {
		prev = b.Delay(i, prev, u)
		all = append(all, prev)
	}
	return all
}

func TestDelays(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		backoff backoff.Backoff
		u       float64
		want    []time.Duration
	}{
		"exponential": {
			backoff.Exponential{Initial: time.Second, Jitter: backoff.NoJitter}, 0.3,
			[]time.Duration{1e9, 2e9, 4e9, 8e9, 16e9},
		},
		"exponential, capped": {
			backoff.Exponential{Initial: time.Second, Max: 3 * time.Second, Jitter: backoff.NoJitter}, 0.3,
			[]time.Duration{1e9, 2e9, 3e9, 3e9, 3e9},
		},
		"exponential, base 1.5": {
			backoff.Exponential{Initial: 500 * ms, Max: 10 * time.Second, Base: 1.5, Jitter: backoff.NoJitter}, 0,
			[]time.Duration{500 * ms, 750 * ms, 1125 * ms, 1687500 * time.Microsecond},
		},
		"exponential, base 3": {
			backoff.Exponential{Initial: 5 * time.Second, Max: 2 * time.Minute, Base: 3, Jitter: backoff.NoJitter}, 0,
			[]time.Duration{5e9, 15e9, 45e9, 120e9},
		},
		"exponential, base 1": {
			backoff.Exponential{Initial: time.Second, Base: 1, Jitter: backoff.NoJitter}, 0,
			[]time.Duration{1e9, 1e9, 1e9},
		},
		"exponential, full jitter is the default": {
			backoff.Exponential{Initial: time.Second, Max: 3 * time.Second}, 0.5,
			[]time.Duration{500 * ms, 1e9, 1500 * ms, 1500 * ms},
		},
		"exponential, equal jitter": {
			backoff.Exponential{Initial: time.Second, Jitter: backoff.EqualJitter}, 0.5,
			[]time.Duration{750 * ms, 1500 * ms, 3e9},
		},
		"exponential, plus minus, low": {
			backoff.Exponential{Initial: time.Second, Jitter: backoff.PlusMinus(20)}, 0,
			[]time.Duration{800 * ms, 1600 * ms},
		},
		"exponential, plus minus, middle": {
			backoff.Exponential{Initial: time.Second, Jitter: backoff.PlusMinus(20)}, 0.5,
			[]time.Duration{1e9, 2e9},
		},
		"exponential, plus minus stays below the cap": {
			backoff.Exponential{Initial: time.Second, Max: time.Second, Jitter: backoff.PlusMinus(100)}, 0.9,
			[]time.Duration{1e9, 1e9},
		},
		"exponential, without delay": {
			backoff.Exponential{Max: time.Second}, 0.9, []time.Duration{0, 0, 0},
		},
		"exponential, negative": {
			backoff.Exponential{Initial: -1, Max: -1}, 0.9, []time.Duration{0, 0, 0},
		},
		"constant": {
			backoff.Constant{Interval: time.Second, Jitter: backoff.NoJitter}, 0.3, []time.Duration{1e9, 1e9, 1e9},
		},
		"constant, full jitter is the default": {
			backoff.Constant{Interval: time.Second}, 0.25, []time.Duration{250 * ms, 250 * ms},
		},
		"linear": {
			backoff.Linear{Initial: time.Second, Step: 500 * ms, Max: 2 * time.Second, Jitter: backoff.NoJitter}, 0,
			[]time.Duration{1e9, 1500 * ms, 2e9, 2e9},
		},
		"Fibonacci": {
			backoff.Fibonacci{Initial: time.Second, Jitter: backoff.NoJitter}, 0,
			[]time.Duration{1e9, 1e9, 2e9, 3e9, 5e9, 8e9, 13e9},
		},
		"Fibonacci, capped": {
			backoff.Fibonacci{Initial: time.Second, Max: 4 * time.Second, Jitter: backoff.NoJitter}, 0,
			[]time.Duration{1e9, 1e9, 2e9, 3e9, 4e9, 4e9},
		},
		"decorrelated, low": {
			backoff.Decorrelated{Initial: time.Second, Max: time.Minute}, 0, []time.Duration{1e9, 1e9, 1e9},
		},
		"decorrelated, middle": {
			backoff.Decorrelated{Initial: time.Second, Max: 5 * time.Second}, 0.5,
			[]time.Duration{1e9, 2e9, 3500 * ms, 5e9, 5e9},
		},
		"func": {
			backoff.Func(func(n int, prev time.Duration, u float64) time.Duration {
				return time.Duration(n)*time.Second + prev + time.Duration(u)
			}), 0,
			[]time.Duration{0, 1e9, 3e9},
		},
		"func, negative": {
			backoff.Func(func(int, time.Duration, float64) time.Duration { return -1 }), 0, []time.Duration{0},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, delays(tt.backoff, len(tt.want), tt.u))
		})
	}
}

func TestLargeNumbersDoNotOverflow(t *testing.T) {
	t.Parallel()
	for _, n := range []int{62, 63, 64, 1000, math.MaxInt32, math.MaxInt} {
		for _, limit := range []time.Duration{0, time.Minute, longest} {
			want := limit
			if limit == 0 {
				want = longest
			}
			assert.Equal(t, want, backoff.Exponential{Initial: time.Second, Max: limit, Jitter: backoff.NoJitter}.Delay(n, 0, 0), n)
			assert.Equal(t, want, backoff.Fibonacci{Initial: 10 * time.Second, Max: limit, Jitter: backoff.NoJitter}.Delay(n, 0, 0), n)
			assert.Equal(t, want, backoff.Linear{Initial: time.Second, Step: time.Hour * 1e6, Max: limit, Jitter: backoff.NoJitter}.Delay(max(n, 1e9), 0, 0), n)
			assert.Equal(t, want, backoff.Decorrelated{Initial: time.Second, Max: limit}.Delay(n, longest, 0.99), n)
			for _, jitter := range []backoff.Jitter{backoff.FullJitter, backoff.EqualJitter, backoff.PlusMinus(50)} {
				d := backoff.Exponential{Initial: longest, Max: limit, Jitter: jitter}.Delay(n, 0, math.Nextafter(1, 0))
				assert.GreaterOrEqual(t, d, time.Duration(0))
				assert.LessOrEqual(t, d, want)
			}
		}
		assert.Zero(t, backoff.Exponential{}.Delay(n, 0, 1))
	}
	assert.Equal(t, time.Second, backoff.Exponential{Initial: time.Second, Jitter: backoff.NoJitter}.Delay(-5, 0, 0))
	assert.Equal(t, longest, backoff.Exponential{Initial: 1, Jitter: backoff.NoJitter}.Delay(63, 0, 0), "2^63, one more than the longest")
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		backoff interface{ Validate() error }
		want    string
	}{
		"zero":              {backoff.Exponential{}, ""},
		"base":              {backoff.Exponential{Base: 0.5}, "Base: 0.5 is not allowed"},
		"base NaN":          {backoff.Exponential{Base: math.NaN()}, "Base: NaN is not allowed"},
		"base infinite":     {backoff.Exponential{Base: math.Inf(1)}, "Base: +Inf is not allowed"},
		"base negative":     {backoff.Exponential{Base: -2}, "Base: -2 is not allowed"},
		"initial":           {backoff.Exponential{Initial: -1}, "Initial: -1ns is not allowed"},
		"max":               {backoff.Exponential{Max: -1}, "Max: -1ns is not allowed"},
		"jitter":            {backoff.Exponential{Jitter: 77}, "jitter: Jitter(77) is not allowed"},
		"jitter of 0 %":     {backoff.Constant{Jitter: backoff.PlusMinus(0)}, "jitter: plus_minus_0 is not allowed"},
		"jitter of 101 %":   {backoff.Constant{Jitter: backoff.PlusMinus(101)}, "is not allowed"},
		"constant":          {backoff.Constant{Interval: -1}, "Interval: -1ns is not allowed"},
		"linear step":       {backoff.Linear{Step: -1}, "Step: -1ns is not allowed"},
		"Fibonacci initial": {backoff.Fibonacci{Initial: -1}, "Initial: -1ns is not allowed"},
		"decorrelated max":  {backoff.Decorrelated{Max: -1}, "Max: -1ns is not allowed"},
		"decorrelated":      {backoff.Decorrelated{Initial: 1, Max: 2}, ""},
		"plus minus":        {backoff.Linear{Jitter: backoff.PlusMinus(100)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.want == "" {
				require.NoError(t, tt.backoff.Validate())
			} else {
				require.ErrorContains(t, tt.backoff.Validate(), tt.want)
			}
		})
	}
}

func TestJitterText(t *testing.T) {
	t.Parallel()
	for text, jitter := range map[string]backoff.Jitter{
		"full": backoff.FullJitter, "equal": backoff.EqualJitter, "none": backoff.NoJitter,
		"plus_minus_1": backoff.PlusMinus(1), "plus_minus_20": backoff.PlusMinus(20), "plus_minus_100": backoff.PlusMinus(100),
	} {
		var parsed backoff.Jitter
		require.NoError(t, parsed.UnmarshalText([]byte(text)), text)
		assert.Equal(t, jitter, parsed)
		written, err := jitter.MarshalText()
		require.NoError(t, err)
		assert.Equal(t, text, string(written))
	}
	for _, text := range []string{"", "Full", "plus_minus_", "plus_minus_0", "plus_minus_101", "plus_minus_+5", "plus_minus_05", "plus_minus_9999999999999999999"} {
		parsed := backoff.EqualJitter
		require.ErrorContains(t, parsed.UnmarshalText([]byte(text)), "is not allowed", text)
		assert.Equal(t, backoff.EqualJitter, parsed, "a text that is no jitter changes nothing")
	}
	_, err := backoff.Jitter(50).MarshalText()
	require.Error(t, err)
}

func TestApply(t *testing.T) {
	t.Parallel()
	assert.Equal(t, 500*ms, backoff.FullJitter.Apply(time.Second, 0.5))
	assert.Equal(t, time.Duration(0), backoff.FullJitter.Apply(-time.Second, 0.5))
	assert.Equal(t, time.Second, backoff.FullJitter.Apply(time.Second, 7), "a draw beyond 1 counts as 1")
	assert.Equal(t, time.Duration(0), backoff.FullJitter.Apply(time.Second, math.NaN()))
}

// Whatever the arguments, a delay is neither negative nor above its cap.
func FuzzDelay(f *testing.F) {
	f.Add(3, int64(time.Second), int64(time.Minute), int64(time.Second), 2.0, 0.5, int64(0), uint8(0))
	f.Add(math.MaxInt, int64(math.MaxInt64), int64(math.MaxInt64), int64(math.MaxInt64), math.MaxFloat64, 1.0, int64(math.MaxInt64), uint8(199))
	f.Add(-1, int64(-1), int64(-1), int64(-1), math.Inf(-1), math.NaN(), int64(math.MinInt64), uint8(255))
	f.Fuzz(func(t *testing.T, n int, initial, most, step int64, base, u float64, prev int64, jitter uint8) {
		j := backoff.Jitter(jitter)
		i, m, s, p := time.Duration(initial), time.Duration(most), time.Duration(step), time.Duration(prev)
		limit := m
		if m <= 0 {
			limit = longest
		}
		for _, b := range []backoff.Backoff{
			backoff.Exponential{Initial: i, Max: m, Base: base, Jitter: j},
			backoff.Linear{Initial: i, Step: s, Max: m, Jitter: j},
			backoff.Fibonacci{Initial: i, Max: m, Jitter: j},
			backoff.Decorrelated{Initial: i, Max: m},
		} {
			if d := b.Delay(n, p, u); d < 0 || d > limit {
				t.Fatalf("%#v.Delay(%d, %d, %v) = %d", b, n, p, u, d)
			}
		}
		if d := (backoff.Constant{Interval: i, Jitter: j}).Delay(n, p, u); d < 0 {
			t.Fatalf("constant: %d", d)
		}
	})
}

func FuzzJitterText(f *testing.F) {
	for _, s := range []string{"full", "equal", "none", "plus_minus_20", "plus_minus_", "x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var j backoff.Jitter
		if j.UnmarshalText([]byte(s)) != nil {
			return
		}
		if j.Validate() != nil || j.String() != s {
			t.Fatalf("%q was read as %v", s, j)
		}
	})
}
