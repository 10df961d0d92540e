package bulkhead

import "github.com/observable-go/toolkit/internal/clock"

// waiter is a call that waits for its turn. All but the signal is guarded by the mutex
// of the bulkhead.
type waiter struct {
	signal         clock.Signal
	before, behind *waiter
	granted        bool // it left the queue with a slot
	left           bool // it left the queue without one
}

// queue holds those who wait as they came.
type queue struct{ first, last *waiter }

func (q *queue) push(w *waiter) {
	w.before = q.last
	if q.last == nil {
		q.first = w
	} else {
		q.last.behind = w
	}
	q.last = w
}

func (q *queue) remove(w *waiter) {
	if w.before == nil {
		q.first = w.behind
	} else {
		w.before.behind = w.behind
	}
	if w.behind == nil {
		q.last = w.before
	} else {
		w.behind.before = w.before
	}
	w.before, w.behind = nil, nil
}
