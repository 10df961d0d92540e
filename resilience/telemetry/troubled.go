package telemetry

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// The debug page shows the latest calls of each policy that failed or were retried. While
// nobody watches none of this costs more than one load at a failure.

// A TroubledCall is a call that failed or was retried. It does not change any more.
type TroubledCall struct {
	// ID grows with every call that is kept.
	ID       uint64
	Outcome  Outcome
	Reason   string
	Budget   string
	Nested   bool
	Attempts int
	Max      int
	// Ended is when the call ended.
	Ended time.Time
	// Span is the span of the call, which is not valid if it was not traced.
	Span trace.SpanContext
	// Timeline holds the first attempts and the latest ones.
	Timeline []TroubledAttempt
}

// A TroubledAttempt is an attempt of a troubled call.
type TroubledAttempt struct {
	Number int
	// Began is zero if nobody knows when the attempt began.
	Began, Ended time.Time
	ErrorType    string // "" if the attempt succeeded
	Error        string // what may be shown of its error
	// Delay is the wait that was to follow, if Retried.
	Delay    time.Duration
	Retried  bool
	Pushback bool // the callee asked for that delay

	err error // of which Error is made if the call is kept
}

// Bounds on what is kept.
const (
	// maxTimeline is how many attempts of a call are kept; lastAttempts of them are its last.
	maxTimeline  = 8
	lastAttempts = 2
	// ringSize is how many calls of each trouble are kept, and ringPause for how long at least.
	ringSize  = 8
	ringPause = time.Second
	// maxTroubles is how many troubles a policy tells apart.
	maxTroubles = 16
	// timedFor is for how many ticks after its trouble a policy times the first attempts of
	// its calls: a minute.
	timedFor = int32(time.Minute / TickInterval)
)

// recentCalls are the latest troubled calls of the policies of one name, by trouble: a flood of
// one kind, such as calls that an open breaker refuses, does not wash away another, such as
// those that made it open.
type recentCalls struct {
	mu      sync.Mutex // held to add a ring
	rings   atomic.Pointer[map[trouble]*ring]
	dropped counter
}

// A trouble is how a call ended and the type of its first failure.
type trouble struct {
	outcome Outcome
	first   string
}

// A ring holds the latest calls. Nobody ever waits for it: who finds it busy or full of calls
// that are hardly older drops the call.
type ring struct {
	next  atomic.Uint32
	slots [ringSize]atomic.Pointer[TroubledCall]
}

// claim returns a slot for a call that ended now, or nil.
func (r *ring) claim(now time.Time) *atomic.Pointer[TroubledCall] {
	n := r.next.Load()
	slot := &r.slots[n%ringSize]
	if old := slot.Load(); old != nil {
		if age := now.Sub(old.Ended); age >= 0 && age < ringPause {
			return nil
		}
	}
	if !r.next.CompareAndSwap(n, n+1) {
		return nil
	}
	return slot
}

// ring returns the ring of a trouble. Beyond maxTroubles there is one for each outcome.
func (r *recentCalls) ring(t trouble) *ring {
	if found := find(r.known(), &t); found != nil {
		return found
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.known()
	if found := find(known, &t); found != nil { // somebody else was faster
		return found
	}
	more := make(map[trouble]*ring, len(known)+1)
	maps.Copy(more, known)
	added := new(ring)
	more[t] = added
	r.rings.Store(&more)
	return added
}

// find returns the ring of t, if there is one. Where there are too many it makes t one with
// others.
func find(known map[trouble]*ring, t *trouble) *ring {
	if len(known) >= maxTroubles && known[*t] == nil {
		t.first = Other
	}
	return known[*t]
}

func (r *recentCalls) known() map[trouble]*ring {
	if known := r.rings.Load(); known != nil {
		return *known
	}
	return nil
}

// all returns what the rings hold.
func (r *recentCalls) all() (calls []*TroubledCall) {
	for _, known := range r.known() {
		for i := range known.slots {
			if c := known.slots[i].Load(); c != nil {
				calls = append(calls, c)
			}
		}
	}
	return calls
}

var (
	watchers   atomic.Int32  // how many watch
	lastCallID atomic.Uint64 // of the calls that were kept
)

// Records reports whether the call is to be told when its attempts began and ended, as
// somebody watches.
func (c *RetryCall) Records() bool { return c.retry != nil && watchers.Load() > 0 }

// times reports whether calls read the clock when they begin, for the sake of the page.
func (c *retryCells) times() bool { return c.timed.Load() > 0 && watchers.Load() > 0 }

// note adds an attempt that failed, after which a retry is to follow, to the timeline.
func (c *RetryCall) note(f *Failure, delay time.Duration, pushback bool) {
	if f.Ended.IsZero() {
		return // nobody watched when it ended
	}
	c.add(TroubledAttempt{
		Number: f.Number, Began: f.Began, Ended: f.Ended, ErrorType: f.ErrorType, Error: f.text, err: f.Err,
		Delay: delay, Retried: true, Pushback: pushback,
	})
}

func (c *RetryCall) add(a TroubledAttempt) {
	if len(c.timeline) == maxTimeline {
		copy(c.timeline[maxTimeline-lastAttempts:], c.timeline[maxTimeline-lastAttempts+1:])
		c.timeline = c.timeline[:maxTimeline-1]
	}
	c.timeline = append(c.timeline, a)
}

// keep keeps a call that failed or was retried, if somebody watches.
func (c *RetryCall) keep(e *RetryEnd, last *Failure) {
	if e.Ended.IsZero() || e.Outcome == OutcomeSuccess {
		return
	}
	cells := c.retry.cells
	if cells.timed.Load() != timedFor {
		cells.timed.Store(timedFor)
	}
	recent := &cells.recent
	slot := recent.ring(trouble{e.Outcome, c.firstFailure(e, last)}).claim(e.Ended)
	if slot == nil {
		recent.dropped.Add(1)
		return
	}
	c.addLast(e, last)
	for i := range c.timeline {
		a := &c.timeline[i]
		if a.Error == "" && a.err != nil {
			a.Error = c.retry.show(a.err, a.ErrorType)
		}
		a.err = nil
	}
	slot.Store(&TroubledCall{
		ID: lastCallID.Add(1), Outcome: e.Outcome, Reason: e.Reason, Budget: e.Budget, Nested: e.Nested,
		Attempts: e.Attempts, Max: c.max, Ended: e.Ended, Span: trace.SpanContextFromContext(c.ctx), Timeline: c.timeline,
	})
}

// firstFailure returns the type of the first failure of the call.
func (c *RetryCall) firstFailure(e *RetryEnd, last *Failure) string {
	if len(c.timeline) > 0 {
		return c.timeline[0].ErrorType
	}
	return e.errorType(last)
}

// addLast adds the last attempt to the timeline, unless it is there.
func (c *RetryCall) addLast(e *RetryEnd, last *Failure) {
	if n := len(c.timeline); e.Attempts == 0 || n > 0 && c.timeline[n-1].Number == e.Attempts {
		return
	}
	a := TroubledAttempt{Number: e.Attempts, Began: e.Began, Ended: e.Ended}
	switch {
	case last != nil:
		a.ErrorType, a.Error, a.err = last.ErrorType, last.text, last.Err
		if !last.Ended.IsZero() {
			a.Ended = last.Ended
		}
	case e.Outcome == OutcomePanic:
		a.ErrorType, a.Error = panicType, panicText
	}
	c.add(a)
}
