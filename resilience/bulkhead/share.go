package bulkhead

import (
	"math"
	"sync/atomic"
)

const (
	// shareWeight is what one call has of the share. The last 64 calls or so make it up:
	// enough to tell rare drops from many, and few enough to notice an overload soon.
	shareWeight = 1.0 / 64
	// shareTolerated is the share below which drops are an exception. From a share of 0
	// the fourth drop in a row reaches it. If one call in 100 is dropped by chance, one
	// drop in 400 does, which is one call in 40,000; if one in 1000 is, next to none. With
	// 0.05, which the fourth is the first to reach as well, it would be one drop in 66,
	// and the limit of Gradient2 a third lower.
	shareTolerated = 0.06
	// shareNegligible is what is taken for 0, so that successes soon need not write.
	shareNegligible = 1e-4
)

// dropShare is the share of calls that are dropped, of those that were asked of late: an
// exponentially weighted mean, 0 at first. It takes no lock.
type dropShare struct {
	bits atomic.Uint64 // of a float64
}

// succeeded counts a call that succeeded. If another one ends at the very same time, one
// of them may go uncounted. While nothing is dropped it writes nothing.
func (d *dropShare) succeeded() {
	bits := d.bits.Load()
	if bits == 0 {
		return
	}
	share := math.Float64frombits(bits) * (1 - shareWeight)
	if share < shareNegligible {
		share = 0
	}
	d.bits.CompareAndSwap(bits, math.Float64bits(share))
}

// dropped counts a call that was dropped, in any case, and reports whether drops are no
// exception any more.
func (d *dropShare) dropped() bool {
	for {
		bits := d.bits.Load()
		share := math.Float64frombits(bits)
		share += shareWeight * (1 - share)
		if d.bits.CompareAndSwap(bits, math.Float64bits(share)) {
			return share >= shareTolerated
		}
	}
}
