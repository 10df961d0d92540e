package window_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/internal/window"
)

// result is one call of a schedule.
type result struct {
	at           time.Duration
	failed, slow bool
}

func (r result) counts() window.Counts {
	c := window.Counts{Calls: 1}
	if r.failed {
		c.Failures = 1
	}
	if r.slow {
		c.Slow = 1
	}
	return c
}

func schedule(seed uint64, n int, gap time.Duration) []result {
	random := rand.New(rand.NewPCG(seed, 0))
	all := make([]result, n)
	at := time.Duration(0)
	for i := range all {
		at += time.Duration(random.Int64N(int64(gap)))
		if random.IntN(50) == 0 {
			at += 3 * gap * time.Duration(random.IntN(100))
		}
		all[i] = result{at, random.IntN(3) == 0, random.IntN(4) == 0}
	}
	return all
}

// A window sums up exactly the buckets that the span reaches into.
func TestTimeAgainstAModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		buckets := 1 + int(seed%12)
		span := time.Duration(buckets) * time.Second
		w := window.NewTime(span, buckets)
		calls := schedule(seed, 300, 700*time.Millisecond)
		for i, r := range calls {
			w.Add(r.at, r.counts())
			var want window.Counts
			for _, before := range calls[:i+1] {
				if before.at/time.Second > r.at/time.Second-time.Duration(buckets) {
					want = want.Plus(before.counts())
				}
			}
			require.Equal(t, want, w.Sum(r.at), "seed %d, call %d", seed, i)
		}
		assert.Zero(t, w.Sum(calls[len(calls)-1].at+span), "seed %d", seed)
	}
}

func TestTimeOutOfOrder(t *testing.T) {
	t.Parallel()
	w := window.NewTime(10*time.Second, 10)
	one := window.Counts{Calls: 1}
	w.Add(25*time.Second, one)
	w.Add(20*time.Second, one)
	w.Add(15*time.Second, one) // its bucket is in use again
	w.Add(-time.Second, one)
	assert.Equal(t, int64(2), w.Sum(25*time.Second).Calls)
	assert.Equal(t, int64(1), w.Sum(30*time.Second).Calls)
}

func TestLastAgainstAModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		n := 1 + int(seed*7%40)
		w := window.NewLast(n)
		calls := schedule(seed, 300, time.Second)
		for i, r := range calls {
			w.Add(r.failed, r.slow)
			var want window.Counts
			for _, before := range calls[max(0, i+1-n) : i+1] {
				want = want.Plus(before.counts())
			}
			require.Equal(t, want, w.Sum(), "seed %d, call %d", seed, i)
			require.Equal(t, want, w.Recount(), "seed %d, call %d", seed, i)
		}
	}
}

// Nothing is lost or counted twice by goroutines that count at once.
func TestContention(t *testing.T) {
	t.Parallel()
	const goroutines, each = 8, 5000
	byTime, byCalls := window.NewTime(time.Hour, 10), window.NewLast(goroutines*each/2)
	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() {
			for i := range each {
				byTime.Add(time.Duration(i%60)*time.Minute, window.Counts{Calls: 1, Failures: int64(g % 2)})
				byCalls.Add(g%2 == 1, true)
			}
		})
	}
	all.Wait()
	assert.Equal(t, window.Counts{Calls: goroutines * each, Failures: goroutines * each / 2}, byTime.Sum(59*time.Minute))
	sum := byCalls.Sum()
	assert.Equal(t, int64(goroutines*each/2), sum.Calls)
	assert.Equal(t, sum.Calls, sum.Slow)

	// What remains is the last calls, whatever came before.
	for range goroutines * each / 2 {
		byCalls.Add(false, false)
	}
	assert.Equal(t, window.Counts{Calls: goroutines * each / 2}, byCalls.Sum())
}

func TestAllocations(t *testing.T) {
	w, last := window.NewTime(time.Hour, 10), window.NewLast(100)
	w.Add(0, window.Counts{Calls: 1})
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		w.Add(time.Second, window.Counts{Calls: 1, Failures: 1})
		_ = w.Sum(time.Second)
		last.Add(true, false)
	}))
}
