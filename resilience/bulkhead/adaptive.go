package bulkhead

import (
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
	// Next returns the limit that follows from a sample, given the limit under which its
	// calls began, both in calls and not rounded. The bulkhead rounds it down and keeps it
	// within 1 and MaxLimit; with a NaN the limit stays.
	//
	// A round of calls that succeeded is one sample, and changes the limit as Next says. A
	// call that was dropped is one of its own, however late it ends, and only lowers the
	// limit: to what Next says, if the limit in force is higher. So answer by the limit that
	// is given, and the drops of calls that began under the same limit lower it once. Next
	// does not hear of drops that are an exception: fewer than 6 % of the last 64 calls or
	// so, of which the last weighs most. The first three after a quiet time are.
	//
	// A bulkhead never calls Next twice at a time. It must be fast and not call the bulkhead.
	Next(limit float64, s Sample) float64
}

// A Sample is what an [Algorithm] learns at a time: of a round of calls that succeeded, or
// of one call that was dropped. A round is as many calls as the limit allows at a time,
// 100 at most, all of which began under that limit.
type Sample struct {
	// Latency is how long the operation took, without the wait for a slot. Of a round it
	// is the mean.
	Latency time.Duration
	// Inflight is how many calls were under way when it began, itself included. Of a round
	// it is the greatest.
	Inflight int
	// Dropped says that the call failed as calls to an overloaded callee do, for instance
	// by a timeout: resilience.Classify calls its error retryable.
	Dropped bool
}

// adaptive lets an algorithm change the limit of a bulkhead.
//
// The calls that are under way when the limit changes began under the old one, and their
// latency is that of the old one. If each of them changed the limit once more, hundreds
// would overdo by far what one of them asked for. So those that succeed count only if they
// began under the limit in force: it changes once in a round trip, as the window of TCP
// Vegas does. And they count together, as the first one to return would be a short one.
//
// A call that is dropped may take much longer, until its timeout, and the limit has
// changed many times before it ends. So it counts however late, against the limit under
// which it began, and takes back what was added since. But a callee may drop a call now
// and then whatever the load, and that must not hold the limit down: a drop counts only if
// it is no exception.
type adaptive struct {
	algorithm Algorithm
	own       ownAlgorithm  // the same, or nil if it is not of this package
	round     atomic.Uint64 // counts the changes of the limit
	limit     atomic.Uint64 // the bits of a float64

	mu    sync.Mutex // held to write the above, and to ask the algorithm
	seen  round      // of the calls that began in this round
	given uint64     // the round that began when the limit was set by hand

	drops dropShare // takes no lock
}

func newAdaptive(a Algorithm, limit int) *adaptive {
	own, _ := a.(ownAlgorithm)
	adaptive := &adaptive{algorithm: a, own: own}
	adaptive.limit.Store(math.Float64bits(float64(limit)))
	return adaptive
}

// sampled is a call of which the algorithm is to learn.
type sampled struct {
	bulkhead *Bulkhead
	inflight int
	round    uint64
	limit    float64
	began    time.Time
}

// begin notes a call that takes its slot with the state s.
func (a *adaptive) begin(b *Bulkhead, s state) sampled {
	return sampled{
		bulkhead: b, inflight: s.inflight(), round: a.round.Load(), limit: a.current(), began: clock.Now(b.clock),
	}
}

// current returns the limit, not rounded.
func (a *adaptive) current() float64 { return math.Float64frombits(a.limit.Load()) }

// end tells the algorithm how the call ended.
func (c *sampled) end(err error) {
	b := c.bulkhead
	failure, asked := resilience.CalleeError(err)
	dropped := failure != nil
	if !asked || dropped && resilience.Classify(failure) != resilience.ClassRetryable {
		return // it may not have reached the callee, so its latency says nothing
	}
	s := Sample{Latency: clock.Since(b.clock, c.began), Inflight: c.inflight, Dropped: dropped}
	if dropped {
		b.adaptive.dropped(c, s)
	} else {
		b.adaptive.succeeded(c, s)
	}
}

// succeeded adds a call to its round. Rather than wait it leaves itself out, as there are
// many.
func (a *adaptive) succeeded(c *sampled, s Sample) {
	a.drops.succeeded()
	if !a.mu.TryLock() {
		return
	}
	defer a.mu.Unlock()
	if a.round.Load() != c.round || !a.seen.add(s, a.current()) {
		return
	}
	s = a.seen.sample()
	a.seen = round{}
	a.change(c.bulkhead, a.next(a.current(), s))
}

// dropped lowers the limit for a call that was dropped, unless that has happened, or drops
// are an exception. Drops ought to be rare, so it waits.
func (a *adaptive) dropped(c *sampled, s Sample) {
	if !a.drops.dropped() {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if c.round < a.given {
		return // whoever set the limit since knows better
	}
	a.change(c.bulkhead, min(a.current(), a.next(c.limit, s)))
}

// next asks the algorithm, under the mutex.
func (a *adaptive) next(limit float64, s Sample) float64 {
	next := a.algorithm.Next(limit, s)
	if math.IsNaN(next) {
		return a.current()
	}
	return min(max(next, 1), MaxLimit)
}

// set makes the algorithm go on from n.
func (a *adaptive) set(b *Bulkhead, n int) error {
	if a.own != nil {
		if err := a.own.validate(n); err != nil {
			return err
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.change(b, float64(n))
	a.given = a.round.Load()
	return nil
}

// change changes the limit, if it does, under the mutex. That begins a round.
func (a *adaptive) change(b *Bulkhead, limit float64) {
	if limit == a.current() {
		return
	}
	a.limit.Store(math.Float64bits(limit))
	a.round.Add(1)
	a.seen = round{}
	if n := int(limit); n != b.word.load().limit() {
		b.setLimit(n)
	}
}
