package ratelimit

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tooEarly returns the first of the turns, which it sorts, that is too early for some window
// that ends with it, or -1.
//
// n turns within a window need n - burst intervals. So turn j may come burst - 1 intervals
// sooner than j - i intervals after turn i, for every i <= j.
func tooEarly(turns []time.Duration, burst int, rate float64) int {
	slices.Sort(turns)
	interval := 1e9 / rate
	latest := math.Inf(-1) // turn, as if the first of all had been at that time
	for i, at := range turns {
		began := float64(at) - float64(i)*interval
		latest = max(latest, began)
		if began < latest-float64(burst-1)*interval-0.5 {
			return i
		}
	}
	return -1
}

func TestTooEarly(t *testing.T) {
	t.Parallel()
	assert.Equal(t, -1, tooEarly([]time.Duration{0, 0, 1e9, 2e9, 3e9, 5e9, 5e9}, 2, 1))
	assert.Equal(t, 3, tooEarly([]time.Duration{0, 2e9, 2e9, 2e9}, 2, 1), "three at once")
	assert.Equal(t, 2, tooEarly([]time.Duration{0, 0, 1e9 - 1, 5e9}, 2, 1), "too soon after the burst")
	assert.Equal(t, 4, tooEarly([]time.Duration{0, 0, 1e9, 2e9, 29e8}, 2, 1), "faster than the rate")
}

// Goroutines take turns, wait, cancel and give back while the clock moves, some with a time
// that they read a while ago. In every window no more turns are used than the bound allows.
func TestBoundUnderContention(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Log("seed", seed)
	for round := range 60 {
		random := rand.New(rand.NewPCG(seed, uint64(round)))
		clk := &stepClock{}
		burst := 1 + random.IntN(4)
		rate := math.Pow(10, random.Float64()*6)
		interval := intervalOf(rate)
		maxWait := time.Duration(random.IntN(8)) * interval
		l := newLimiter(t, clk, rate, WithBurst(burst), WithMaxWait(maxWait))
		var mu sync.Mutex
		var used []time.Duration
		var lost, back int
		var group sync.WaitGroup
		for w := range 16 {
			group.Go(func() {
				random := rand.New(rand.NewPCG(seed, uint64(round*100+w)))
				var waiting []turn
				for range 300 {
					now := l.now()
					clk.advance(time.Duration(random.Int64N(int64(interval)/8 + 1)))
					if got, ok := l.take(now, maxWait); ok {
						if got.wait > 0 && random.IntN(3) == 0 {
							waiting = append(waiting, got)
							continue
						}
						mu.Lock()
						used = append(used, got.now+got.wait)
						mu.Unlock()
					}
					if len(waiting) > 0 && random.IntN(2) == 0 {
						given := l.giveBack(waiting[len(waiting)-1])
						waiting = waiting[:len(waiting)-1]
						mu.Lock()
						if given {
							back++
						} else {
							lost++
						}
						mu.Unlock()
					}
				}
			})
		}
		group.Wait()
		if i := tooEarly(used, burst, rate); i >= 0 {
			t.Fatalf("round %d: turn %d of %d comes too early for a burst of %d and %v calls a second", round, i, len(used), burst, rate)
		}
		if elapsed := clk.elapsed(); round == 0 {
			t.Logf("%d turns used, %d given back, %d lost in %v at %.0f/s", len(used), back, lost, elapsed, rate)
		}
	}
}

// While the clock stands still the burst is there exactly once, however many ask at once.
func TestNoTurnIsGivenTwice(t *testing.T) {
	t.Parallel()
	const workers, burst = 16, MaxBurst
	l := newLimiter(t, &stepClock{}, 1, WithBurst(burst))
	var given atomic.Int64
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for range burst / 12 {
				if l.Allow() {
					given.Add(1)
				}
			}
		})
	}
	group.Wait()
	assert.Equal(t, int64(burst), given.Load())
}

// Without cancellations nothing is lost: a demand above the rate gets all of it.
func TestGivesTheWholeRate(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{MinRate, 0.5, 3, 1000, 999_999, MaxRate} {
		clk := &stepClock{}
		l := newLimiter(t, clk, rate, WithBurst(7))
		interval := intervalOf(rate)
		got := 0
		for range 5000 {
			for l.Allow() {
				got++
			}
			clk.advance(interval/3 + 1)
		}
		seconds := clk.elapsed().Seconds()
		assert.LessOrEqual(t, float64(got), 7+rate*seconds)
		assert.GreaterOrEqual(t, float64(got), 6+rate*seconds*(1-rate/1e9)-1, "%v calls a second", rate)
	}
}

// When the rate changes again and again, no call waiting, no window has more than its burst
// and the integral of the rate.
func TestSetRateKeepsTheBound(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	for round := range 60 {
		random := rand.New(rand.NewPCG(seed, uint64(round)))
		clk := &stepClock{}
		burst := 1 + random.IntN(10)
		rate := math.Pow(10, random.Float64()*4)
		l := newLimiter(t, clk, rate, WithBurst(burst))
		// In the time of allowed calls all rates are 1.
		var allowed float64
		var turns []time.Duration
		for range 3000 {
			if random.IntN(20) == 0 {
				rate = math.Pow(10, random.Float64()*4)
				require.NoError(t, l.SetRate(rate))
				require.InDelta(t, rate, l.Rate(), 0)
			}
			if l.Allow() {
				turns = append(turns, time.Duration(allowed*1e9))
			}
			d := time.Duration(random.Float64() * 1e9 / rate)
			clk.advance(d)
			allowed += rate * d.Seconds()
		}
		assert.Greater(t, len(turns), 500)
		require.Equal(t, -1, tooEarly(turns, burst, 1.000001), "seed %d round %d", seed, round)
	}
}

// The rate changes while goroutines take turns: none gets lost in a schedule that is out of
// use, and the bound for the highest rate holds.
func TestSetRateUnderContention(t *testing.T) {
	t.Parallel()
	clk := &stepClock{}
	l := newLimiter(t, clk, 1000, WithBurst(5), WithMaxWait(10*time.Millisecond))
	var mu sync.Mutex
	var used []time.Duration
	var group sync.WaitGroup
	for w := range 8 {
		group.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(w)))
			var waiting []turn
			for range 2000 {
				clk.advance(time.Duration(random.Int64N(int64(200 * time.Microsecond))))
				if w == 0 {
					assert.NoError(t, l.SetRate(float64(1+random.IntN(1000))))
				}
				got, ok := l.take(l.now(), l.maxWait)
				switch {
				case !ok:
				case got.wait > 0 && random.IntN(4) == 0:
					waiting = append(waiting, got)
				default:
					mu.Lock()
					used = append(used, got.now+got.wait)
					mu.Unlock()
				}
				if len(waiting) > 0 && random.IntN(2) == 0 { // perhaps after the rate has changed
					l.giveBack(waiting[len(waiting)-1])
					waiting = waiting[:len(waiting)-1]
				}
			}
		})
	}
	group.Wait()
	assert.Greater(t, len(used), 100)
	assert.Equal(t, -1, tooEarly(used, 5, 1000))
}

// Calls that come at random, at half the rate and at four fifths of it: the share that is
// refused. These are the figures of docs/ratelimit.md. A wait lets the same calls through
// as the burst that it would take.
func TestRefusalsOfRandomCalls(t *testing.T) {
	t.Parallel()
	const calls = 40_000
	for _, tt := range []struct {
		burst      int
		load, want float64 // for a burst of 1 that is load / (1 + load)
	}{
		{1, 0.5, 0.333}, {2, 0.5, 0.095}, {5, 0.5, 0.003}, {10, 0.5, 0},
		{1, 0.8, 0.444}, {2, 0.8, 0.199}, {5, 0.8, 0.035}, {10, 0.8, 0.003},
	} {
		random := rand.New(rand.NewPCG(1, 2))
		clk := &stepClock{}
		const interval = 10 * time.Millisecond
		atOnce := newLimiter(t, clk, 100, WithBurst(tt.burst))
		later := newLimiter(t, clk, 100, WithMaxWait(time.Duration(tt.burst-1)*interval))
		refused := 0
		for range calls {
			clk.advance(time.Duration(random.ExpFloat64() * float64(interval) / tt.load))
			allowed := atOnce.Allow()
			_, waits := later.take(later.now(), later.maxWait)
			if allowed != waits {
				t.Fatal("a wait lets other calls through than a burst")
			}
			if !allowed {
				refused++
			}
		}
		assert.InDelta(t, tt.want, float64(refused)/calls, 0.01, "burst %d load %v", tt.burst, tt.load)
	}
}
