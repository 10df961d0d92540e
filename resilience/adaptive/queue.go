package adaptive

import (
	"container/list"
	"context"
	"time"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/internal/ctxerr"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// acquire takes a token for a call under ctx, or returns why the call may not be sent.
func (l *RateLimiter) acquire(ctx context.Context) error {
	if ctx.Err() != nil {
		l.tel.Count(telemetry.ResultCanceled)
		return ctxerr.NotSent(ctx, l.name, "before the call")
	}
	if l.limited.Load() && !l.takeNow() {
		return l.wait(ctx)
	}
	l.tel.Count(telemetry.ResultAdmitted)
	return nil
}

// takeNow takes a token if there is one and nobody waits for it.
func (l *RateLimiter) takeNow() bool {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.queue.Len() == 0 && l.state.take(now)
}

// A waiter is a call that waits for a token.
type waiter struct {
	latest time.Duration // the time since the epoch by which it must be sent
	reason string        // for which it is rejected otherwise
	turn   clock.Signal  // set when it becomes the first of the queue
	place  *list.Element // in the queue, or nil
}

// wait waits for a token.
func (l *RateLimiter) wait(ctx context.Context) error {
	began := l.now()
	w := &waiter{turn: clock.NewSignal(l.clock), latest: began + l.maxWait, reason: ReasonWait}
	if deadline, ok := ctx.Deadline(); ok {
		// At the deadline itself it is too late.
		if d := deadline.Sub(l.epoch) - 1; d < w.latest {
			w.latest, w.reason = d, ReasonDeadline
		}
	}
	defer l.leave(w)
	for now := began; ; now = l.now() {
		if ctx.Err() != nil {
			l.tel.Count(telemetry.ResultCanceled)
			return ctxerr.NotSent(ctx, l.name, "while the call waited for its turn")
		}
		sent, wait, refusal := l.look(w, now)
		switch {
		case refusal != nil:
			l.tel.Rejected(ctx, telemetry.Rejection{Reason: refusal.Reason, RetryAfter: refusal.After})
			return refusal
		case sent:
			l.tel.Count(telemetry.ResultAdmitted)
			l.tel.Waited(ctx, now-began)
			return nil
		}
		w.turn.Wait(ctx, wait) // whatever ends it, the next look tells what is to be done
	}
}

// look decides what w does at now: it is sent, or refused, or waits so long before it looks
// again.
func (l *RateLimiter) look(w *waiter, now time.Duration) (sent bool, wait time.Duration, refusal *RateError) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var needed time.Duration // until its turn, at the rate of now
	switch queued := w.place != nil; {
	case !queued && l.queue.Len() > 0:
		needed = l.state.wait(now, l.queue.Len()+1)
	case queued && w.place != l.queue.Front():
		if now <= w.latest {
			return false, w.latest - now + 1, nil // it is called when it is the first
		}
		needed = l.state.wait(now, 2) // at least, as others are before it
	case l.state.take(now):
		return true, 0, nil
	default:
		needed = l.state.wait(now, 1)
	}
	if needed > w.latest-now {
		return false, 0, &RateError{Name: l.name, Rate: l.state.rate, Reason: w.reason, After: needed}
	}
	if w.place == nil {
		w.place = l.queue.PushBack(w)
	}
	if w.place == l.queue.Front() {
		return false, needed, nil
	}
	return false, w.latest - now + 1, nil
}

// leave takes w out of the queue and calls the next one.
func (l *RateLimiter) leave(w *waiter) {
	if w.place == nil {
		return
	}
	var next *waiter
	l.mu.Lock()
	wasFirst := w.place == l.queue.Front()
	l.queue.Remove(w.place)
	if front := l.queue.Front(); wasFirst && front != nil {
		next = front.Value.(*waiter)
	}
	l.mu.Unlock()
	if next != nil {
		next.turn.Set()
	}
}
