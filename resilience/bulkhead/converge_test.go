package bulkhead_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/observable-go/toolkit/resilience/bulkhead"
)

// callee is a simulated one: up to its capacity calls take 10 ms, and beyond it they share
// what there is.
type callee struct{ capacity float64 }

func (c callee) latency(inflight int) time.Duration {
	return time.Duration(float64(10*time.Millisecond) * max(1, float64(inflight)/c.capacity))
}

// drive sends calls to the callee. In overloaded out of a thousand calls, in a row, more
// come than it can bear, so that as many are under way as the limit allows, and otherwise
// half as many as it can. It returns the last limit, and the least and the greatest of
// the second half.
func drive(a bulkhead.Algorithm, limit float64, c callee, overloaded int) (last, least, greatest float64) {
	const calls = 20_000
	least = math.Inf(1)
	for i := range calls {
		inflight := int(min(limit, c.capacity/2))
		if i%1000 < overloaded {
			inflight = int(limit)
		}
		limit = a.Next(limit, bulkhead.Sample{Latency: c.latency(inflight), Inflight: inflight})
		if i >= calls/2 {
			least, greatest = min(least, limit), max(greatest, limit)
		}
	}
	return limit, least, greatest
}

// The figures are those of docs/bulkhead.md.
func TestAdaptiveLimitsConverge(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		algorithm       func() bulkhead.Algorithm
		least, greatest float64 // in capacities
	}{
		"vegas":     {func() bulkhead.Algorithm { return &bulkhead.Vegas{} }, 1, 1.3},
		"gradient2": {func() bulkhead.Algorithm { return &bulkhead.Gradient2{} }, 1.5, 2},
	} {
		for _, limit := range []float64{10, 500} {
			a := tt.algorithm()
			bulkhead.MustNew("b", int(limit), bulkhead.WithAdaptiveLimit(a), bulkhead.WithClock(&countingClock{random: 0.5}))
			for _, capacity := range []float64{100, 50, 100, 200} {
				var least, greatest float64
				limit, least, greatest = drive(a, limit, callee{capacity}, 100)
				t.Logf("%s, capacity %.0f: %.1f to %.1f", name, capacity, least, greatest)
				assert.GreaterOrEqual(t, least, tt.least*capacity, name)
				assert.LessOrEqual(t, greatest, tt.greatest*capacity, name)
			}
		}
	}
}

// Without a pause in the overload neither knows any more what the latency without it is.
// MaxLimit bounds what comes of that.
func TestAdaptiveLimitsCreepWithoutAPause(t *testing.T) {
	t.Parallel()
	for name, a := range map[string]bulkhead.Algorithm{
		"vegas": &bulkhead.Vegas{MaxLimit: 150}, "gradient2": &bulkhead.Gradient2{MaxLimit: 300},
	} {
		bulkhead.MustNew("b", 20, bulkhead.WithAdaptiveLimit(a), bulkhead.WithClock(&countingClock{random: 0.5}))
		_, least, greatest := drive(a, 20, callee{100}, 1000)
		t.Logf("%s: %.1f to %.1f", name, least, greatest)
		assert.Greater(t, least, 1.4*100, name)
		assert.LessOrEqual(t, greatest, 300.0, name)
	}
}

// A callee that sheds its load by failing fast has the limit lowered, not raised.
func TestAdaptiveLimitsFollowDrops(t *testing.T) {
	t.Parallel()
	for name, a := range map[string]bulkhead.Algorithm{
		"vegas": &bulkhead.Vegas{MinLimit: 2}, "gradient2": &bulkhead.Gradient2{MinLimit: 2},
	} {
		limit := 100.0
		for range 1000 {
			limit = a.Next(limit, bulkhead.Sample{Latency: time.Millisecond, Inflight: int(limit), Dropped: true})
		}
		assert.LessOrEqual(t, limit, 8.1, name) // where gradient2 comes to rest: 0.9 * 8 + 0.8 = 8
	}
}
