package bulkhead

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/resilience"
)

// An Algorithm finds the limit of a bulkhead from what it sees of the calls. [Vegas] and
// [Gradient2] are the ones of this package; yours may be another.
type Algorithm interface {
	// Next returns the limit after a call that ended, given the limit so far, both in
	// calls and not rounded. The bulkhead rounds it down and keeps it within 1 and
	// MaxLimit; with a NaN the limit stays. It hears of calls that began after the last
	// change of the limit, as those before ran under another. A bulkhead never calls it
	// twice at a time. It must be fast and not call the bulkhead.
	Next(limit float64, s Sample) float64
}

// A Sample is what an [Algorithm] learns of a call that ended.
type Sample struct {
	// Latency is how long the operation took, without the wait for a slot.
	Latency time.Duration
	// Inflight is how many calls were under way when it began, itself included.
	Inflight int
	// Dropped says that the call failed as calls to an overloaded callee do, for instance
	// by a timeout: resilience.Classify calls its error retryable.
	Dropped bool
}

// adaptive lets an algorithm change the limit of a bulkhead.
//
// The calls that are under way when the limit changes began under the old one, and their
// latency is that of the old one. If each of them changed the limit once more, hundreds
// would overdo by far what one of them asked for. So a sample counts only if its call
// began under the limit in force: the limit changes once in a round trip, as the window
// of TCP Vegas does.
type adaptive struct {
	algorithm Algorithm
	round     atomic.Uint64 // counts the changes of the limit
	mu        sync.Mutex    // guards the limit, and the algorithm against being called twice at a time
	limit     float64
}

// sampled is a call of which the algorithm is to learn.
type sampled struct {
	bulkhead *Bulkhead
	inflight int
	round    uint64
	began    time.Time
}

// begin notes a call that takes its slot with the state s.
func (a *adaptive) begin(b *Bulkhead, s state) sampled {
	return sampled{bulkhead: b, inflight: s.inflight(), round: a.round.Load(), began: clock.Now(b.clock)}
}

// end tells the algorithm how the call ended.
func (c *sampled) end(err error) {
	b := c.bulkhead
	failure, asked := resilience.CalleeError(err)
	dropped := failure != nil
	if !asked || dropped && resilience.Classify(failure) != resilience.ClassRetryable {
		return // it may not have reached the callee, so its latency says nothing
	}
	b.adaptive.observe(c, Sample{Latency: clock.Since(b.clock, c.began), Inflight: c.inflight, Dropped: dropped})
}

// observe gives the algorithm a sample. Rather than wait for it a call leaves its sample
// out, of which there are many, unless it was dropped, which ought to be rare.
func (a *adaptive) observe(c *sampled, s Sample) {
	if s.Dropped {
		a.mu.Lock()
	} else if !a.mu.TryLock() {
		return
	}
	defer a.mu.Unlock()
	if a.round.Load() != c.round {
		return // it began under another limit
	}
	next := a.algorithm.Next(a.limit, s)
	if math.IsNaN(next) {
		return
	}
	a.change(c.bulkhead, min(max(next, 1), MaxLimit))
}

// set makes the algorithm go on from n.
func (a *adaptive) set(b *Bulkhead, n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.change(b, float64(n))
}

// change changes the limit, if it does, under the mutex.
func (a *adaptive) change(b *Bulkhead, limit float64) {
	if limit == a.limit {
		return
	}
	a.limit = limit
	a.round.Add(1)
	if n := int(limit); n != b.word.load().limit() {
		b.setLimit(n)
	}
}

// ownAlgorithm is an algorithm of this package. begin prepares it for its bulkhead, which
// has that clock and begins with that limit.
type ownAlgorithm interface {
	begin(c clock.Clock, limit int) error
}

// Default bounds of an adaptive limit.
const (
	defaultMinLimit = 1
	defaultMaxLimit = 1000
)

// bounds are those of an adaptive limit. A 0 means the default.
type bounds struct{ least, most int }

func (b bounds) orDefault() bounds {
	if b.least == 0 {
		b.least = defaultMinLimit
	}
	if b.most == 0 {
		b.most = defaultMaxLimit
	}
	return b
}

// clamp returns x within the bounds.
func (b bounds) clamp(x float64) float64 {
	b = b.orDefault()
	return max(float64(b.least), min(float64(b.most), x))
}

func (b bounds) validate(limit int) error {
	b = b.orDefault()
	switch {
	case b.least < 1 || b.least > MaxLimit:
		return fmt.Errorf("min_limit: %d is not allowed: want 1 to %d", b.least, MaxLimit)
	case b.most < b.least || b.most > MaxLimit:
		return fmt.Errorf("max_limit: %d is not allowed: want %d, the min limit, to %d", b.most, b.least, MaxLimit)
	case limit < b.least || limit > b.most:
		return fmt.Errorf("limit: %d is not allowed: want %d to %d, the bounds of the adaptive limit", limit, b.least, b.most)
	}
	return nil
}

var (
	errNilAlgorithm = errors.New("adaptive_limit: a nil pointer is not allowed: want one to an algorithm")
	errTaken        = errors.New("adaptive_limit: an algorithm of another bulkhead is not allowed: want one of its own")
)

// owner keeps an algorithm from serving two bulkheads, whose callees differ.
type owner struct{ taken atomic.Bool }

func (o *owner) take() error {
	if o.taken.Swap(true) {
		return errTaken
	}
	return nil
}
