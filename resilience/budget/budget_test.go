package budget_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/budget"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

func TestDefaults(t *testing.T) {
	t.Parallel()
	b := budget.MustNew("b")
	assert.Equal(t, "b", b.Name())
	assert.InDelta(t, 100, b.Capacity(), 0)
	assert.InDelta(t, 100, b.Tokens(), 0)
}

func TestInvalidOptions(t *testing.T) {
	t.Parallel()
	for want, options := range map[string][]budget.Option{
		"ratio: -0.1 is not allowed: want 0, or 0.000001 to 1":   {budget.WithRatio(-0.1)},
		"ratio: 1.1 is not allowed":                              {budget.WithRatio(1.1)},
		"ratio: 1e-07 is not allowed":                            {budget.WithRatio(1e-7)},
		"ratio: NaN is not allowed":                              {budget.WithRatio(math.NaN())},
		"ratio: +Inf is not allowed":                             {budget.WithRatio(math.Inf(1))},
		"floor: -1 is not allowed: want 0, or 0.000001 to 10000": {budget.WithFloor(-1)},
		"floor: 10001 is not allowed":                            {budget.WithFloor(10001)},
		"floor: NaN is not allowed":                              {budget.WithFloor(math.NaN())},
		"floor: 1e-09 is not allowed":                            {budget.WithFloor(1e-9)},
		"burst: 0 is not allowed: want 1 to 1000000000":          {budget.WithBurst(0)},
		"burst: -5 is not allowed":                               {budget.WithBurst(-5)},
		"burst: 1000000001 is not allowed":                       {budget.WithBurst(1_000_000_001)},
		"ratio and floor: 0 for both is not allowed":             {budget.WithRatio(0), budget.WithFloor(0)},
		"telemetry: WithMeterProvider: nil is not allowed":       {budget.WithTelemetry(telemetry.WithMeterProvider(nil))},
	} {
		_, err := budget.New("b", options...)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, `budget: "b"`)
	}
	for _, name := range []string{"", "  "} {
		_, err := budget.New(name)
		require.ErrorContains(t, err, "name: ")
		assert.Panics(t, func() { budget.MustNew(name) })
	}
	_, err := budget.New("b", nil, budget.WithRatio(0), budget.WithFloor(1e4), budget.WithBurst(1e9))
	require.NoError(t, err)
}

func withdrawAll(b resilience.Budget) (granted int) {
	for b.Withdraw() {
		granted++
	}
	return granted
}

func TestBucket(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := budget.MustNew("b", budget.WithRatio(0.25), budget.WithFloor(2), budget.WithBurst(10))
		assert.Equal(t, 10, withdrawAll(b), "a new budget is full")
		for range 3 {
			b.Deposit()
			assert.False(t, b.Withdraw())
		}
		b.Deposit()
		assert.Equal(t, 1, withdrawAll(b), "four calls allow a retry")

		time.Sleep(499 * time.Millisecond)
		assert.False(t, b.Withdraw())
		time.Sleep(time.Millisecond)
		assert.Equal(t, 1, withdrawAll(b), "half a second allows a retry")
		time.Sleep(2500 * time.Millisecond)
		assert.InDelta(t, 5, b.Tokens(), 1e-9)
		assert.Equal(t, 5, withdrawAll(b))

		time.Sleep(time.Hour)
		for range 1000 {
			b.Deposit()
		}
		assert.InDelta(t, 10, b.Tokens(), 0)
		assert.Equal(t, 10, withdrawAll(b), "the burst bounds what is kept")

		b.Refund()
		assert.Equal(t, 1, withdrawAll(b))
		time.Sleep(time.Hour)
		for range 100 {
			b.Refund()
		}
		assert.Equal(t, 10, withdrawAll(b), "refunds fill no more than the burst")
	})
}

func TestFloorLastsForYears(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := budget.MustNew("b", budget.WithFloor(1e4), budget.WithBurst(5))
		for range 29 {
			time.Sleep(365 * 24 * time.Hour)
			for range 1000 {
				b.Deposit()
			}
			assert.Equal(t, 5, withdrawAll(b))
			time.Sleep(150 * time.Microsecond)
			assert.Equal(t, 1, withdrawAll(b))
		}
	})
}

func TestNilBudget(t *testing.T) {
	t.Parallel()
	var b *budget.Budget
	b.Deposit()
	b.Refund()
	assert.False(t, b.Withdraw())
	assert.Zero(t, b.Tokens())
	assert.Zero(t, b.Capacity())
	assert.Empty(t, b.Name())
	calls := 0
	err := retry.MustNew("p", retry.WithBudget(b)).Do(t.Context(), func(context.Context) error {
		calls++
		return context.DeadlineExceeded
	})
	require.ErrorIs(t, err, retry.ErrBudgetExhausted)
	assert.Equal(t, 1, calls)
}

// Over ten million concurrent deposits and withdrawals grants never exceed
// burst + floor*t + ratio*calls, and nothing is lost either: what was not granted is
// still there.
func TestBoundUnderContention(t *testing.T) {
	const (
		workers = 128
		each    = 80_000
		ratio   = 0.1
		floor   = 1000.0
		burst   = 50
	)
	start := time.Now()
	b := budget.MustNew("b", budget.WithRatio(ratio), budget.WithFloor(floor), budget.WithBurst(burst))
	var granted, refunded atomic.Int64
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(w)))
			for range each {
				b.Deposit()
				if b.Withdraw() {
					if random.IntN(10) == 0 {
						b.Refund()
						refunded.Add(1)
					} else {
						granted.Add(1)
					}
				}
			}
		})
	}
	group.Wait()
	left := withdrawAll(b)
	elapsed := time.Since(start).Seconds()
	sent := float64(granted.Load() + int64(left))
	most := burst + floor*elapsed + ratio*workers*each
	t.Logf("%.0f grants of %.0f in %.2f s, %d refunded", sent, most, elapsed, refunded.Load())
	assert.LessOrEqual(t, sent, most)
	// With a demand of one withdrawal a deposit the bucket is never full for long: all
	// but the clamped refills at the very start must have been granted.
	assert.GreaterOrEqual(t, sent, ratio*workers*each)
}

// A trace of grants under virtual time: in every window of every length the bound
// holds, for grants and, with the longest wait added to the window, for sends.
func TestBoundInEveryWindow(t *testing.T) {
	t.Parallel()
	const (
		ratio = 0.1
		floor = 5.0
		burst = 20
		wait  = 2 * time.Second // the longest
	)
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 7))
			b := budget.MustNew("b", budget.WithRatio(ratio), budget.WithFloor(floor), budget.WithBurst(burst))
			var calls, grants, sends []time.Duration
			begin := time.Now()
			for range 3000 {
				now := time.Since(begin)
				for range random.IntN(8) {
					b.Deposit()
					calls = append(calls, now)
				}
				for range random.IntN(5) { // an outage: most calls would be retried
					if b.Withdraw() {
						grants = append(grants, now)
						sends = append(sends, now+time.Duration(random.Int64N(int64(wait))))
					}
				}
				if random.IntN(100) == 0 { // a quiet time
					time.Sleep(time.Duration(random.Int64N(int64(5 * time.Second))))
				}
				time.Sleep(time.Duration(random.Int64N(int64(20 * time.Millisecond))))
			}
			slices.Sort(sends)
			checkWindows(t, grants, calls, 0, ratio, floor, burst)
			checkWindows(t, sends, calls, wait, ratio, floor, burst)
		})
	}
}

// checkWindows compares every window that begins and ends at an event with the bound.
// Calls count from the longest wait before the window on.
func checkWindows(t *testing.T, events, calls []time.Duration, wait time.Duration, ratio, floor, burst float64) {
	t.Helper()
	require.NotEmpty(t, events)
	for i, from := range events {
		first, _ := slices.BinarySearch(calls, from-wait)
		after := first
		for j := i; j < len(events); j++ {
			for after < len(calls) && calls[after] <= events[j] {
				after++
			}
			window := (events[j] - from + wait).Seconds()
			if most := burst + floor*window + ratio*float64(after-first); float64(j-i+1) > most+1e-6 {
				t.Fatalf("%d in %v from %v on, where %.2f are allowed", j-i+1, events[j]-from, from, most)
			}
		}
	}
}

// With a steady demand the rate is smooth: no second carries more than the burst and
// one second's share, and after the burst each carries its share.
func TestRateIsSmooth(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const (
			callsPerSecond = 1000
			share          = 0.1*callsPerSecond + 1
		)
		b := budget.MustNew("b") // ratio 0.1, floor 1, burst 100
		for second := range 60 {
			granted := 0
			for range callsPerSecond {
				b.Deposit()
				if b.Withdraw() {
					granted++
				}
				time.Sleep(time.Second / callsPerSecond)
			}
			if second == 0 {
				assert.LessOrEqual(t, float64(granted), 100+share+1)
			} else {
				assert.InDelta(t, share, granted, 1, "second %d", second)
			}
		}
	})
}

func TestTelemetry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reader := sdkmetric.NewManualReader()
		option := budget.WithTelemetry(telemetry.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))))
		read := func() map[string]float64 {
			var rm metricdata.ResourceMetrics
			require.NoError(t, reader.Collect(context.Background(), &rm))
			values := map[string]float64{}
			for _, m := range rm.ScopeMetrics[0].Metrics {
				switch data := m.Data.(type) {
				case metricdata.Sum[int64]:
					for _, p := range data.DataPoints {
						result, _ := p.Attributes.Value(telemetry.AttrBudgetResult)
						values[m.Name+" "+result.AsString()] = float64(p.Value)
					}
				case metricdata.Gauge[float64]:
					values[m.Name] = data.DataPoints[0].Value
				}
			}
			return values
		}
		b := budget.MustNew("b", option, budget.WithBurst(3), budget.WithFloor(0.5))
		assert.Equal(t, map[string]float64{
			"resilience.budget.tokens": 3, "resilience.budget.capacity": 3, "resilience.budget.refunds ": 0,
			"resilience.budget.withdrawals granted": 0, "resilience.budget.withdrawals denied": 0,
		}, read())
		for range 5 {
			b.Withdraw()
		}
		b.Refund()
		time.Sleep(time.Second)
		assert.Equal(t, map[string]float64{
			"resilience.budget.tokens": 1.5, "resilience.budget.capacity": 3, "resilience.budget.refunds ": 1,
			"resilience.budget.withdrawals granted": 3, "resilience.budget.withdrawals denied": 2,
		}, read())

		again := budget.MustNew("b", option, budget.WithBurst(7))
		again.Withdraw()
		now := read()
		assert.InDelta(t, 6, now["resilience.budget.tokens"], 0, "the level is that of the newest")
		assert.InDelta(t, 4, now["resilience.budget.withdrawals granted"], 0, "counts go on")

		quiet := budget.MustNew("quiet", budget.WithTelemetry(telemetry.Off()))
		assert.True(t, quiet.Withdraw())
		quiet.Refund()
		assert.Equal(t, now, read())
	})
}

func TestDecisionsDoNotAllocate(t *testing.T) {
	b := budget.MustNew("b")
	assert.Zero(t, testing.AllocsPerRun(1000, func() {
		b.Deposit()
		if b.Withdraw() {
			b.Refund()
		}
	}))
}

func TestSharedByPolicies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := budget.MustNew("b", budget.WithBurst(10), budget.WithRatio(0.1), budget.WithFloor(0))
		requests, calls := 0, 0
		for i := range 100 {
			p := retry.MustNew(fmt.Sprint("policy ", i%5), retry.WithBudget(b))
			calls++
			_ = p.Do(t.Context(), func(context.Context) error {
				requests++
				return context.DeadlineExceeded
			})
		}
		assert.LessOrEqual(t, requests, calls+10+calls/10)
		assert.GreaterOrEqual(t, requests, calls+10+calls/10-2)
	})
}
