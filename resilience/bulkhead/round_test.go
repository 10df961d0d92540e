package bulkhead_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience/bulkhead"
)

// oneByOne adds 1 to the limit for each round and takes 1 off for each drop.
func oneByOne(limit float64, s bulkhead.Sample) float64 {
	if s.Dropped {
		return limit - 1
	}
	return limit + 1
}

// As many calls as the limit, all of which began under it, change it once by their mean.
func TestRound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &scripted{next: oneByOne}
		b := bulkhead.MustNew("b", 4, bulkhead.WithAdaptiveLimit(a))
		for _, d := range []time.Duration{time.Second, 2 * time.Second, 3 * time.Second, 6 * time.Second} {
			begin(t, b, d, nil)
		}
		after(4 * time.Second)
		assert.Empty(t, a.seen(), "three are no round")
		begin(t, b, 4*time.Second, nil)
		after(2 * time.Second)
		assert.Equal(t, []bulkhead.Sample{{Latency: 3 * time.Second, Inflight: 4}}, a.seen())
		assert.Equal(t, 5, b.Limit())

		for range 4 {
			begin(t, b, time.Second, nil)
		}
		after(2 * time.Second)
		assert.Len(t, a.seen(), 1, "the fifth to end began under another limit")
		begin(t, b, time.Second, errPlain)
		after(time.Second)
		assert.Len(t, a.seen(), 1, "and this one says nothing")
		begin(t, b, 6*time.Second, nil)
		after(6 * time.Second)
		assert.Equal(t, bulkhead.Sample{Latency: 2 * time.Second, Inflight: 5}, a.seen()[1])
		assert.Equal(t, 6, b.Limit())
		requireIdle(t, b)
	})
}

// While the limit stays, the calls that are under way at the end of a round count for the
// next, or none that takes longer would ever count.
func TestRoundsUnderOneLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &scripted{}
		b := bulkhead.MustNew("b", 2, bulkhead.WithAdaptiveLimit(a))
		begin(t, b, 9*time.Second, nil)
		for range 3 {
			begin(t, b, time.Second, nil)
			after(time.Second)
		}
		after(6 * time.Second)
		assert.Equal(t, []bulkhead.Sample{{Latency: time.Second, Inflight: 2}, {Latency: 5 * time.Second, Inflight: 2}}, a.seen())
		requireIdle(t, b)
	})
}

func TestRoundHasNoMoreThanAHundred(t *testing.T) {
	t.Parallel()
	a := &scripted{}
	b := bulkhead.MustNew("b", 150, bulkhead.WithAdaptiveLimit(a))
	pass(t, b, 99)
	assert.Empty(t, a.seen())
	pass(t, b, 1)
	assert.Len(t, a.seen(), 1)
	pass(t, b, 99)
	assert.Len(t, a.seen(), 1)
	pass(t, b, 1)
	assert.Len(t, a.seen(), 2)
}

// A timeout is slower than a success: the limit has risen by far before it ends. It counts
// nevertheless, against the limit under which its call began, and once.
func TestDropsCountHoweverLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &scripted{next: oneByOne}
		b := bulkhead.MustNew("b", 8, bulkhead.WithAdaptiveLimit(a))
		begin(t, b, 10*time.Second, errOverload)
		begin(t, b, 10*time.Second, errOverload)
		begin(t, b, 11*time.Second, errOverload)
		pass(t, b, 8)
		begin(t, b, 12*time.Second, errOverload)
		for b.Limit() < 20 {
			pass(t, b, b.Limit())
		}
		drop(t, b, 3)
		rounds := len(a.seen())
		after(10 * time.Second)
		assert.Len(t, a.seen(), rounds+2, "the algorithm hears of both")
		assert.Equal(t, 7, b.Limit())
		after(time.Second)
		assert.InDelta(t, 8, a.last(), 0)
		assert.Equal(t, 7, b.Limit(), "this one began under the same limit")
		pass(t, b, 6)
		after(time.Second)
		assert.InDelta(t, 9, a.last(), 0)
		assert.Equal(t, 7, b.Limit(), "this one under a higher one than is in force")
		pass(t, b, 1)
		assert.Equal(t, 8, b.Limit(), "what changes nothing leaves the round as it is")
		begin(t, b, time.Second, errOverload)
		after(time.Second)
		assert.Equal(t, 7, b.Limit())
		requireIdle(t, b)
	})
}

func TestDropsNeverRaiseTheLimit(t *testing.T) {
	t.Parallel()
	a := &scripted{next: func(limit float64, _ bulkhead.Sample) float64 { return limit + 1 }}
	b := bulkhead.MustNew("b", 8, bulkhead.WithAdaptiveLimit(a))
	drop(t, b, 23)
	assert.Len(t, a.seen(), 20)
	assert.Equal(t, 8, b.Limit())
}

// What began before the limit was set by hand does not change it any more.
func TestSetLimitForgetsWhatBeganBefore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, n := range []int{3, 12} {
			a := &scripted{next: oneByOne}
			b := bulkhead.MustNew("b", 8, bulkhead.WithAdaptiveLimit(a))
			begin(t, b, time.Second, errOverload)
			begin(t, b, time.Second, nil)
			pass(t, b, 7-n/2)
			require.NoError(t, b.SetLimit(n))
			drop(t, b, 3)
			after(time.Second)
			pass(t, b, n-1)
			assert.Empty(t, a.seen())
			assert.Equal(t, n, b.Limit())
			pass(t, b, 1)
			assert.Equal(t, n+1, b.Limit())
			requireIdle(t, b)
		}
	})
}

// Neither algorithm of the package leaves its bounds by hand.
func TestSetLimitKeepsTheBounds(t *testing.T) {
	t.Parallel()
	for _, a := range []bulkhead.Algorithm{
		&bulkhead.Vegas{MinLimit: 5, MaxLimit: 50}, &bulkhead.Gradient2{MinLimit: 5, MaxLimit: 50},
	} {
		b := bulkhead.MustNew("b", 20, bulkhead.WithAdaptiveLimit(a))
		require.EqualError(t, b.SetLimit(51),
			`bulkhead: "b": limit: 51 is not allowed: want 5 to 50, the bounds of the adaptive limit`)
		require.EqualError(t, b.SetLimit(4),
			`bulkhead: "b": limit: 4 is not allowed: want 5 to 50, the bounds of the adaptive limit`)
		assert.Equal(t, 20, b.Limit())
		for _, n := range []int{5, 50} {
			require.NoError(t, b.SetLimit(n))
			assert.Equal(t, n, b.Limit())
		}
	}
}
