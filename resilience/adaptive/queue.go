package adaptive

import (
	"container/list"
	"context"
	"time"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/internal/ctxerr"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// unlimited is when a call was sent that found no limit: before any throttling answer.
const unlimited = time.Duration(-1)

// acquire takes a token for a call under ctx and returns when that was, or why the call may
// not be sent.
func (l *RateLimiter) acquire(ctx context.Context) (sent time.Duration, err error) {
	if ctx.Err() != nil {
		l.tel.Count(telemetry.ResultCanceled)
		return 0, ctxerr.NotSent(ctx, l.name, "before the call")
	}
	sent = unlimited
	if l.limited.Load() {
		sent = l.now()
		if !l.takeNow(sent) {
			return l.wait(ctx, sent)
		}
	}
	l.tel.Count(telemetry.ResultAdmitted)
	return sent, nil
}

// takeNow takes a token if there is one and nobody waits for it.
func (l *RateLimiter) takeNow(now time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.queue.Len() == 0 && l.state.take(now)
}

// A waiter is a call that waits for a token.
type waiter struct {
	latest time.Duration // the time since the epoch by which it must be sent
	reason string        // for which it is rejected otherwise
	turn   clock.Signal  // set when it becomes the first of the queue, or is refused

	// Guarded by the lock of the limiter.
	place   *list.Element // in the queue, or nil
	refusal *RateError    // if it was refused in the queue
}

// wait waits for a token from began on and takes it.
func (l *RateLimiter) wait(ctx context.Context, began time.Duration) (sent time.Duration, err error) {
	w := &waiter{turn: clock.NewSignal(l.clock), latest: began + l.maxWait, reason: ReasonWait}
	if deadline, ok := ctx.Deadline(); ok {
		if left := max(clock.Until(l.clock, deadline), 0); left <= l.maxWait {
			w.latest, w.reason = began+left-1, ReasonDeadline // at the deadline itself it is too late
		}
	}
	defer l.leave(w)
	for now := began; ; now = l.now() {
		if ctx.Err() != nil {
			l.tel.Count(telemetry.ResultCanceled)
			return 0, ctxerr.NotSent(ctx, l.name, "while the call waited for its turn")
		}
		taken, wait, refusal := l.look(w, now)
		switch {
		case refusal != nil:
			l.tel.Rejected(ctx, telemetry.Rejection{Reason: refusal.Reason, RetryAfter: refusal.After})
			return 0, refusal
		case taken:
			l.tel.Count(telemetry.ResultAdmitted)
			l.tel.Waited(ctx, now-began)
			return now, nil
		}
		w.turn.Wait(ctx, wait) // whatever ends it, the next look tells what is to be done
	}
}

// look decides what w does at now: it has taken a token, or is refused, or waits so long
// before it looks again.
func (l *RateLimiter) look(w *waiter, now time.Duration) (taken bool, wait time.Duration, refusal *RateError) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var needed time.Duration // until its turn, at the rate of now
	switch queued := w.place != nil; {
	case w.refusal != nil:
		return false, 0, w.refusal
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
	if l.refuse(w, now, needed) {
		return false, 0, w.refusal
	}
	if w.place == nil {
		w.place = l.queue.PushBack(w)
	}
	if w.place == l.queue.Front() {
		return false, needed, nil
	}
	return false, w.latest - now + 1, nil
}

// refuse refuses w if the wait that it needs from now on is longer than it may be. The lock
// must be held.
func (l *RateLimiter) refuse(w *waiter, now, needed time.Duration) bool {
	if needed <= w.latest-now {
		return false
	}
	w.refusal = &RateError{Name: l.name, Rate: l.state.rate, Reason: w.reason, After: needed}
	return true
}

// dismiss refuses those in the queue whose turn would come too late at the rate to which it
// has just fallen: others need not wait behind them. The lock must be held.
func (l *RateLimiter) dismiss(now time.Duration) {
	place := 1
	for e := l.queue.Front(); e != nil; {
		w, next := e.Value.(*waiter), e.Next()
		if l.refuse(w, now, l.state.wait(now, place)) {
			l.remove(w)
			w.turn.Set()
		} else {
			place++
		}
		e = next
	}
}

// leave takes w out of the queue if it is there.
func (l *RateLimiter) leave(w *waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.place != nil {
		l.remove(w)
	}
}

// remove takes w out of the queue and calls the one that is the first then. The lock must be
// held.
func (l *RateLimiter) remove(w *waiter) {
	wasFirst := w.place == l.queue.Front()
	l.queue.Remove(w.place)
	w.place = nil
	if front := l.queue.Front(); wasFirst && front != nil {
		front.Value.(*waiter).turn.Set()
	}
}
