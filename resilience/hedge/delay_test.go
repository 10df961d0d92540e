package hedge

import (
	"context"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience/telemetry"
)

// observe measures first copies of these latencies one after the other and returns how many
// of them were late.
func observe(a *adaptiveDelay, n int, latency func(i int) time.Duration) (late int) {
	for i := range n {
		if !a.measure() {
			panic("another call measures")
		}
		if latency(i) > a.current() {
			late++
			a.late()
		} else {
			a.inTime()
		}
	}
	return late
}

func lognormal(random *rand.Rand, median time.Duration, sigma float64) time.Duration {
	return time.Duration(float64(median) * math.Exp(sigma*random.NormFloat64()))
}

// The hedged share comes to the stated one whatever the latencies are, also if they change.
func TestShare(t *testing.T) {
	t.Parallel()
	const warmUp, n = 20_000, 60_000
	for _, c := range []struct {
		name    string
		latency func(random *rand.Rand, i int) time.Duration
	}{
		{"lognormal", func(random *rand.Rand, _ int) time.Duration { return lognormal(random, 20*time.Millisecond, 0.5) }},
		{"lognormal, heavy", func(random *rand.Rand, _ int) time.Duration { return lognormal(random, 20*time.Millisecond, 2) }},
		{"bimodal", func(random *rand.Rand, _ int) time.Duration {
			if random.Float64() < 0.03 {
				return lognormal(random, time.Second, 0.1)
			}
			return lognormal(random, 20*time.Millisecond, 0.1)
		}},
		{"shifting", func(random *rand.Rand, i int) time.Duration {
			median := 20 * time.Millisecond
			if i/30_000%2 == 1 {
				median *= 20
			}
			return lognormal(random, median, 0.5)
		}},
		{"drifting", func(random *rand.Rand, i int) time.Duration {
			return lognormal(random, time.Duration(float64(20*time.Millisecond)*math.Exp(2*math.Sin(float64(i)/5000))), 0.5)
		}},
	} {
		for _, share := range []float64{0.001, 0.05, 0.5} {
			random := rand.New(rand.NewPCG(1, 2))
			a := newAdaptiveDelay(share, time.Millisecond, time.Minute)
			observe(a, warmUp, func(i int) time.Duration { return c.latency(random, i) })
			late := observe(a, n, func(i int) time.Duration { return c.latency(random, i) })
			got := float64(late) / n
			t.Logf("%-16s share %.3f: %.5f late, delay %v at the end", c.name, share, got, a.current())
			assert.InDelta(t, share, got, 0.0005+0.01*share, "%s: share %v", c.name, share)
		}
	}
}

// However the latencies come, no more first copies are late than WithAdaptiveDelay says.
func TestBoundOfLateCopies(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	for round := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, round))
		share := MinShare * math.Pow(MaxShare/MinShare, random.Float64())
		lo := time.Duration(float64(MinDelay) * math.Pow(1e6, random.Float64()))
		hi := time.Duration(float64(lo) * (1 + 1e4*random.Float64()))
		a := newAdaptiveDelay(share, lo, hi)
		extra := 2 + 5.5*(1-share)*math.Log(float64(hi)/float64(lo))
		n, late := 0.0, 0.0
		for range 1000 {
			// An adversary that sees the delay: late in runs, never beyond hi.
			run, isLate := 1+random.IntN(30), random.IntN(2) == 0
			for range run {
				latency := a.current()
				if isLate && latency < hi {
					latency++
				}
				n++
				late += float64(observe(a, 1, func(int) time.Duration { return latency }))
				if late > share*n+extra+1e-9 || a.current() < lo || a.current() > hi {
					t.Fatalf("seed %d round %d: share %v, %v to %v: %v late of %v", seed, round, share, lo, hi, late, n)
				}
			}
		}
	}
}

// A drop and a rise are followed within the number of calls that docs/hedge.md tells.
func TestDelayFollows(t *testing.T) {
	t.Parallel()
	a := newAdaptiveDelay(0.05, time.Millisecond, time.Minute)
	count := func(latency time.Duration, arrived func() bool) (n int) {
		for !arrived() {
			observe(a, 1, func(int) time.Duration { return latency })
			n++
		}
		return n
	}
	from := func(d time.Duration) func() bool { return func() bool { return a.current() >= d } }
	to := func(d time.Duration) func() bool { return func() bool { return a.current() <= d } }
	assert.Equal(t, 39, count(0, to(50*time.Millisecond)), "the first calls, from a minute to 50 ms")
	assert.Equal(t, 13, count(time.Hour, from(500*time.Millisecond)), "ten times slower")
	assert.InDelta(t, 240, count(0, to(50*time.Millisecond)), 10, "ten times faster")
}

// Many calls at a time do not make the delay swing: one of them measures.
func TestManyCallsAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const goroutines, each = 200, 150
		h := MustNew("h", WithTelemetry(telemetry.Off()))
		var copies atomic.Int64
		lowest, highest := make(chan time.Duration, goroutines), make(chan time.Duration, goroutines)
		for g := range goroutines {
			go func() {
				random := rand.New(rand.NewPCG(3, uint64(g)))
				lo, hi := time.Hour, time.Duration(0)
				for i := range each {
					settled := i >= each/2
					latency := lognormal(random, 20*time.Millisecond, 0.5)
					_, _ = DoValue(t.Context(), h, func(context.Context) (int, error) {
						if settled {
							copies.Add(1)
						}
						time.Sleep(latency) // that of a second copy does not matter here
						return 0, nil
					}, nil)
					if settled {
						lo, hi = min(lo, h.Delay()), max(hi, h.Delay())
					}
				}
				lowest <- lo
				highest <- hi
			}()
		}
		lo, hi := time.Hour, time.Duration(0)
		for range goroutines {
			lo, hi = min(lo, <-lowest), max(hi, <-highest)
		}
		time.Sleep(time.Minute) // for the copies that lost
		share := float64(copies.Load())/(goroutines*each/2) - 1
		t.Logf("share %.4f, delay %v to %v", share, lo, hi)
		assert.InDelta(t, 0.05, share, 0.04)
		// The 60th percentile, and more than the 99.99th.
		assert.GreaterOrEqual(t, lo, 22*time.Millisecond)
		assert.LessOrEqual(t, hi, 200*time.Millisecond)
	})
}

// A call that ends without telling gives the measuring back.
func TestMeasuringIsGivenBack(t *testing.T) {
	t.Parallel()
	a := newAdaptiveDelay(0.05, time.Millisecond, time.Minute)
	require.True(t, a.measure())
	require.False(t, a.measure())
	a.nothing()
	require.True(t, a.measure())
	a.inTime()
	assert.Equal(t, 50*time.Second, a.current())
	require.True(t, a.measure())
	a.late()
	assert.Equal(t, time.Minute, a.current())
}
