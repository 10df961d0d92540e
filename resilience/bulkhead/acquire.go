package bulkhead

import (
	"context"
	"time"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/internal/ctxerr"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// Acquire takes a slot, waiting for it if need be, for what is not a function call: a
// stream, a connection, a job handed to another goroutine. If it returns nil, [Bulkhead.Release]
// must be called once when that has ended. [Bulkhead.Do] does both, and is to be preferred.
//
// The error is a [*FullError] if the bulkhead refuses; if ctx ends before the call's turn,
// or was done already, it wraps the context's error and its cause.
//
// What is acquired this way counts for the limit, but an adaptive limit learns nothing
// from it.
func (b *Bulkhead) Acquire(ctx context.Context) error {
	if b == nil {
		return nil
	}
	if ctx == nil {
		return errNoContext
	}
	_, err := b.acquire(ctx)
	return err
}

// TryAcquire takes a slot if one is free, without waiting, and reports whether it did. If
// so, [Bulkhead.Release] must be called once. A refusal is counted, but no event tells of
// it, as there is no context of a call.
func (b *Bulkhead) TryAcquire() bool {
	if b == nil {
		return true
	}
	_, ok := b.begin()
	if ok {
		b.tel.Count(telemetry.ResultAdmitted)
	} else {
		b.tel.Count(telemetry.ResultRejected)
	}
	return ok
}

// Release gives back a slot that was taken by [Bulkhead.Acquire] or [Bulkhead.TryAcquire].
// It must be called once for each: a call too many lets one more in than the limit
// allows, or does nothing if no slot is taken.
func (b *Bulkhead) Release() {
	if b != nil {
		b.end()
	}
}

// acquire takes a slot and returns the state with it.
func (b *Bulkhead) acquire(ctx context.Context) (state, error) {
	if ctx.Err() != nil {
		return 0, b.ended(ctx)
	}
	s, ok := b.begin()
	if !ok {
		return b.acquireLater(ctx, s)
	}
	b.tel.Count(telemetry.ResultAdmitted)
	return s, nil
}

// acquireLater is acquire for a call that found no slot in the state s.
func (b *Bulkhead) acquireLater(ctx context.Context, s state) (state, error) {
	if s.waiting() >= b.maxQueued {
		return 0, b.refuse(ctx, s, &FullError{Reason: ReasonFull})
	}
	w := &waiter{signal: clock.NewSignal(b.clock)}
	s, waits, refusal := b.join(ctx, w)
	switch {
	case refusal != nil:
		return 0, b.refuse(ctx, s, refusal)
	case !waits:
		b.tel.Count(telemetry.ResultAdmitted)
		return s, nil
	}
	return b.await(ctx, w)
}

// await waits for the turn of w, which is in the queue, and returns the state with its
// slot. If it fails, or what it calls panics, such as the context or telemetry, w has left
// the queue, and a slot of its has gone on to the next.
func (b *Bulkhead) await(ctx context.Context, w *waiter) (state, error) {
	begins := false
	defer func() {
		if !begins && b.leave(w) {
			b.end()
		}
	}()
	began := clock.Now(b.clock)
	wake := w.signal.Wait(ctx, b.maxWait)
	waited := clock.Since(b.clock, began)
	granted := wake == clock.WakeSet || b.leave(w)
	switch {
	case ctx.Err() != nil:
		return 0, b.ended(ctx)
	case !granted:
		return 0, b.refuse(ctx, b.word.load(), &FullError{Reason: ReasonWait, Waited: waited})
	}
	b.tel.Count(telemetry.ResultAdmitted)
	b.tel.Waited(ctx, waited)
	begins = true
	return b.word.load(), nil
}

// join puts w at the end of the queue, unless a slot has become free, which the call then
// takes, or there is a reason to refuse the call. It returns the state after that, and
// whether the call waits.
func (b *Bulkhead) join(ctx context.Context, w *waiter) (s state, waits bool, refusal *FullError) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		var begun bool
		if s, begun = b.begin(); begun {
			return s, false, nil
		}
		if s.waiting() >= b.maxQueued {
			return s, false, &FullError{Reason: ReasonFull}
		}
		if expected, late := b.wouldBeLate(ctx, s); late {
			return s, false, &FullError{Reason: ReasonDeadline, Expected: expected}
		}
		if b.word.change(s, s+oneWaiting) { // there is still no room
			b.queue.push(w)
			return s + oneWaiting, true, nil
		}
	}
}

// wouldBeLate estimates how long a call that joins the queue now would wait, and reports
// whether its context ends before.
func (b *Bulkhead) wouldBeLate(ctx context.Context, s state) (expected time.Duration, late bool) {
	deadline, bounded := ctx.Deadline()
	if !bounded {
		return 0, false
	}
	expected, known := b.pace.wait(s.waiting()+1, s.limit())
	return expected, known && expected > deadline.Sub(clock.Now(b.clock))
}

// leave takes w out of the queue, unless it has left or was granted a slot in the meantime,
// and reports whether it was.
func (b *Bulkhead) leave(w *waiter) (granted bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if w.granted || w.left {
		return w.granted
	}
	w.left = true
	s := b.word.load()
	b.word.change(s, s-oneWaiting) // nobody else changes it now
	b.queue.remove(w)
	b.left()
	return false
}

// refuse tells of a refusal in the state s and makes an error of it.
func (b *Bulkhead) refuse(ctx context.Context, s state, e *FullError) error {
	e.Name, e.Limit, e.Queued = b.name, s.limit(), s.waiting()
	b.tel.Rejected(ctx, telemetry.Rejection{Reason: e.Reason})
	return e
}

// ended tells of a call whose context ended before its turn and returns its error.
func (b *Bulkhead) ended(ctx context.Context) error {
	b.tel.Count(telemetry.ResultCanceled)
	return ctxerr.NotSent(ctx, b.name, "before the call's turn")
}
