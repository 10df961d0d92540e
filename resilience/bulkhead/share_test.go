package bulkhead

import (
	"math"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
)

func (d *dropShare) value() float64 { return math.Float64frombits(d.bits.Load()) }

// The shares were computed from the equation by hand: 1/64 of each call, and 63/64 of what
// was before.
func TestDropShare(t *testing.T) {
	t.Parallel()
	var d dropShare
	d.succeeded()
	assert.Zero(t, d.value())
	for _, step := range []struct {
		drop, counts bool
		want         float64
	}{
		{drop: true, want: 1.0 / 64},
		{drop: true, want: 127.0 / (64 * 64)},
		{want: 127.0 * 63 / (64 * 64 * 64)},
		{drop: true, want: 0.0456694961},
		{drop: true, counts: true, want: 0.0605809102},
		{want: 0.0596343335},
		{drop: true, counts: true, want: 0.0743275470},
	} {
		if step.drop {
			assert.Equal(t, step.counts, d.dropped())
		} else {
			d.succeeded()
		}
		assert.InDelta(t, step.want, d.value(), 1e-10)
	}
	for n := range 420 { // 0.0743 * (63/64)^420 = 0.0000996
		assert.NotZero(t, d.value(), n)
		d.succeeded()
	}
	assert.Zero(t, d.value(), "next to nothing is nothing")
	for n := range 10_000 {
		assert.Equal(t, n >= 3, d.dropped())
	}
	assert.InDelta(t, 1, d.value(), 1e-10)
	assert.LessOrEqual(t, d.value(), 1.0)
}

// A success may go uncounted beside another one, a drop never.
func TestDropShareMissesNoDrop(t *testing.T) {
	t.Parallel()
	var d dropShare
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 10 {
				d.dropped()
			}
		})
	}
	group.Wait()
	assert.InDelta(t, 1-math.Pow(63.0/64, 80), d.value(), 1e-10)
}
