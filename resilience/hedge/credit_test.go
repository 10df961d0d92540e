package hedge

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
)

// A credit begins full and holds no more than that; what was given back can be taken again.
func TestCredit(t *testing.T) {
	t.Parallel()
	c := newCredit(0.25)
	takeAll := func() (n int) {
		for c.take() {
			n++
		}
		return n
	}
	assert.Equal(t, 60, takeAll())
	for range 7 {
		c.earn()
	}
	assert.Equal(t, 1, takeAll(), "of 1.75")
	c.earn()
	assert.Equal(t, 1, takeAll(), "the rest was kept")
	c.giveBack()
	assert.Equal(t, 1, takeAll())
	for range 10_000 {
		c.earn()
	}
	assert.Equal(t, 60, takeAll())

	var none *credit
	none.earn()
	none.giveBack()
	assert.True(t, none.take())
}

// Whoever earns, takes and gives back at the same time: never is more taken than the share of
// the calls and what a credit begins with, and in the end nothing is lost.
func TestCreditOfManyGoroutines(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	c := newCredit(0.05)
	var calls, taken atomic.Int64
	var group sync.WaitGroup
	for g := range 8 {
		random := rand.New(rand.NewPCG(seed, uint64(g)))
		group.Go(func() {
			for range 5000 {
				calls.Add(1)
				c.earn()
				if random.IntN(3) > 0 || !c.take() {
					continue
				}
				if random.IntN(4) == 0 {
					c.giveBack()
					continue
				}
				if n := taken.Add(1); float64(n) > 0.05*float64(calls.Load())+maxAhead {
					t.Errorf("seed %d: %d copies of %d calls", seed, n, calls.Load())
				}
			}
		})
	}
	group.Wait()
	for c.take() {
		taken.Add(1)
	}
	assert.InDelta(t, 0.05*float64(calls.Load())+maxAhead, taken.Load(), 30, "seed %d", seed) // what came when it was full is lost
}
