package hedge

import "sync/atomic"

// The unit of a credit is a billionth of a copy.
const (
	oneCopy   = 1_000_000_000
	maxCredit = maxAhead * oneCopy
	// maxAhead is how many copies a hedge may be ahead of its share. One call after the
	// other needs no more with the default bounds of the delay: see docs/hedge.md.
	maxAhead = 60
)

// A credit bounds the further copies of a hedge whose delay is adaptive. Each call adds the
// share, up to maxAhead copies, and each further copy takes one. So of any n calls there are
// at most share*n + maxAhead further copies, at whatever moment the delay was learned: it
// lags behind when the callee becomes slower, and then each call that begins meanwhile is
// late. A nil credit grants everything.
type credit struct {
	share int64 // what a call adds
	left  atomic.Int64
}

func newCredit(share float64) *credit {
	c := &credit{share: int64(share * oneCopy)}
	c.left.Store(maxCredit)
	return c
}

// earn adds what a call adds.
func (c *credit) earn() {
	if c != nil && c.left.Load() < maxCredit {
		c.left.Add(c.share)
	}
}

// take takes one copy if there is one.
func (c *credit) take() bool {
	if c == nil {
		return true
	}
	for {
		left := c.left.Load()
		if left < oneCopy {
			return false
		}
		// Calls that earned at the same time may have gone beyond the most.
		if c.left.CompareAndSwap(left, min(left, maxCredit)-oneCopy) {
			return true
		}
	}
}

// giveBack gives back a copy that was taken and not sent.
func (c *credit) giveBack() {
	if c != nil {
		c.left.Add(oneCopy)
	}
}
