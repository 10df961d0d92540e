package bulkhead_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience/bulkhead"
)

// step is a sample and the limit after it.
type step struct {
	milliseconds float64
	inflight     int
	dropped      bool
	want         float64
}

func checkSteps(t *testing.T, a bulkhead.Algorithm, limit float64, steps []step) {
	t.Helper()
	for i, s := range steps {
		limit = a.Next(limit, bulkhead.Sample{
			Latency: time.Duration(s.milliseconds * float64(time.Millisecond)), Inflight: s.inflight, Dropped: s.dropped,
		})
		require.InDelta(t, s.want, limit, 1e-9, "step %d: %+v", i, s)
	}
}

// The limits were computed from the equations by another program.
func TestVegasSteps(t *testing.T) {
	t.Parallel()
	checkSteps(t, &bulkhead.Vegas{MaxLimit: 140}, 20, []step{
		{10, 20, false, 20}, // the first latency
		{10, 20, false, 26}, // no queue: + 6u
		{10, 26, false, 32},
		{10, 12, false, 32},   // fewer than half are under way
		{11, 17, false, 32},   // a queue of 3 is as it should be
		{10.5, 32, false, 33}, // one of 2: + u
		{11, 33, false, 33},
		{13, 34, false, 32}, // one of 8: - u
		{20, 34, false, 31},
		{9, 33, false, 31},  // a shorter latency
		{10, 33, false, 31}, // a queue of 4 now
		{1, 33, true, 30},   // dropped: - u, and the latency does not count
		{9, 10, true, 29},   // also if few are under way
		{9, 31, false, 35},  // no queue, also after the drop
		{9, 40, false, 41},
		{9, 40, false, 47},
		{9, 50, false, 53},
		{9, 60, false, 59},
		{9, 60, false, 65},
		{9, 60, false, 71},
		{9, 60, false, 77},
		{9, 60, false, 83},
		{9, 60, false, 89},
		{9, 70, false, 95},
		{9, 70, false, 101},
		{9, 70, false, 113}, // u is 2 from 100 on
		{9.2, 70, false, 115},
		{10, 70, false, 115},
		{18, 70, false, 113},
		{9, 1, true, 111},
		{9, 70, false, 123},
		{9, 70, false, 135},
		{9, 70, false, 140}, // the max limit
		{9, 70, false, 140},
	})
	checkSteps(t, &bulkhead.Vegas{}, 20, []step{
		{10, 20, false, 20},
		{10.4, 20, false, 26},  // a queue of 1, that is u
		{10.8, 13, false, 27},  // one of 2, and just half are under way
		{11, 14, false, 27},    // one of 3, that is 3u
		{12.85, 14, false, 27}, // one of 6, that is 6u
		{13, 14, false, 26},
	})
	checkSteps(t, &bulkhead.Vegas{MinLimit: 3}, 4, []step{
		{10, 4, false, 4},
		{30, 4, false, 4}, // a queue of 3 is as it should be
		{10, 1, true, 3},  // the min limit
		{10, 1, true, 3},
	})
	checkSteps(t, &bulkhead.Vegas{}, 1, []step{
		{10, 1, true, 1},   // the default of the min limit
		{0, 1, false, 1},   // a clock that did not move
		{-10, 1, false, 7}, // nor went back
		{0, 7, false, 13},
	})
	for _, limit := range []float64{4, 51} { // the bounds hold whatever the sample
		for _, s := range []step{{10, 1, false, 5}, {10, 1, true, 5}, {10, 60, false, 5}} {
			s.want = min(max(limit, 5), 50)
			checkSteps(t, &bulkhead.Vegas{MinLimit: 5, MaxLimit: 50}, limit, []step{s})
			if limit < 5 {
				checkSteps(t, &bulkhead.Gradient2{MinLimit: 5, MaxLimit: 50}, limit, []step{s})
			}
		}
	}
	checkSteps(t, &bulkhead.Gradient2{MinLimit: 5, MaxLimit: 50}, 51, []step{{10, 1, false, 50}})
	checkSteps(t, &bulkhead.Vegas{}, 999, []step{
		{10, 900, false, 999},
		{10, 900, false, 1000}, // the default of the max limit
		{10, 900, true, 997},   // u is 3 from 1000 on
	})
}

// After 30 times the limit of samples, by chance less, the latency is measured anew.
func TestVegasProbes(t *testing.T) {
	t.Parallel()
	for random, samples := range map[float64]int{0: 150, 0.5: 225, 1: 300} {
		v, c := &bulkhead.Vegas{}, &countingClock{random: random}
		bulkhead.MustNew("b", 10, bulkhead.WithAdaptiveLimit(v), bulkhead.WithClock(c))
		v.Next(10, bulkhead.Sample{Latency: 10 * time.Millisecond})
		slow := bulkhead.Sample{Latency: 20 * time.Millisecond, Inflight: 10}
		for i := 2; i < samples; i++ { // a queue of 5 out of 10
			require.InDelta(t, 10, v.Next(10, slow), 0, "sample %d", i)
		}
		require.InDelta(t, 10, v.Next(10, slow), 0, "this one is the measure")
		c.random = 0.5
		require.InDelta(t, 16, v.Next(10, slow), 0, "there is no queue any more")
		for i := 2; i < 225; i++ {
			require.InDelta(t, 16, v.Next(10, slow), 0, "sample %d after", i)
		}
		require.InDelta(t, 10, v.Next(10, slow), 0, "and anew, after a time that was drawn anew")
	}
}

func TestGradient2Steps(t *testing.T) {
	t.Parallel()
	checkSteps(t, &bulkhead.Gradient2{MaxLimit: 30}, 20, []step{
		{100, 20, false, 20.8}, // 0.8 * 20 + 0.2 * (20 + 4)
		{100, 9, false, 20.8},  // fewer than half are under way
		{100, 10, false, 20.8},
		{100, 21, false, 21.6},
		{200, 21, false, 21.968},    // the mean is 120: gradient 0.9
		{400, 21, false, 21.1204},   // 166.7: 0.625
		{1000, 21, false, 19.80836}, // 0.5 at least
		{10, 20, true, 18.627524},   // dropped: 0.5, and the latency does not count
		{100, 9, false, 18.627524},
		{40, 20, false, 19.427524},
		{40, 20, false, 20.227524}, // the mean is smoothed from here on, and drifts down
		{40, 20, false, 21.027524},
		{200, 20, false, 21.827524},
		{350, 20, false, 21.9429075097},
		{100000, 20, false, 20.5486167587},
		{100, 11, false, 21.3486167587},
		{100, 21, false, 22.1486167587},
		{100, 20, false, 22.9486167587},
		{200, 20, false, 23.7486167587},
		{100, 22, false, 24.5486167587},
		{100, 25, false, 25.3486167587},
		{100, 25, false, 26.1486167587},
		{100, 25, false, 26.9486167587},
		{100, 25, false, 27.7486167587},
		{100, 25, false, 28.5486167587},
		{100, 25, false, 29.3486167587},
		{100, 25, false, 30}, // the max limit
		{100, 25, false, 30},
	})
	checkSteps(t, &bulkhead.Gradient2{}, 20, []step{
		{100, 10, false, 20.8}, // just half are under way
		{100, 10, false, 20.8},
	})
	checkSteps(t, &bulkhead.Gradient2{MinLimit: 19}, 20, []step{
		{1, 0, true, 19}, // the min limit
	})
	checkSteps(t, &bulkhead.Gradient2{}, 1000, []step{
		{0, 1000, false, 1000}, // a clock that did not move; the default of the max limit
		{-1, 1000, false, 1000},
	})
}
