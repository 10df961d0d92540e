package ratelimit

import (
	"context"
	"time"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/internal/ctxerr"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// Do runs op once in its turn, waiting for the turn if need be and allowed, and returns the
// error of op as it is. If op is not run the error is a [*RateError]; or, if ctx ended
// before the call's turn, one that wraps the context's error and its cause. With a context
// that is done already op is not run. A call that fails or panics has used its turn.
//
// A nil l runs op once, unguarded. Use [DoValue] for operations with a value.
func (l *Limiter) Do(ctx context.Context, op resilience.Operation) error {
	if op == nil {
		return errNoOperation
	}
	_, err := DoValue(ctx, l, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, op(ctx)
	})
	return err
}

// DoValue is [Limiter.Do] for an operation that returns a value, which it returns beside an
// error too. A call that need not wait allocates nothing.
func DoValue[T any](ctx context.Context, l *Limiter, op func(context.Context) (T, error)) (value T, err error) {
	switch {
	case op == nil:
		return value, errNoOperation
	case l == nil:
		return op(ctx)
	case ctx == nil:
		return value, errNoContext
	}
	if err := l.acquire(ctx); err != nil {
		return value, err
	}
	return op(ctx)
}

// Wait takes one turn and returns when it has come, for loops and for what is not a
// function call. It waits no longer than [WithMaxWait] allows: by default it does not wait.
// If it returns an error there is no turn: it is a [*RateError] if the limiter refuses; if
// ctx ends before the turn, or was done already, it wraps the context's error and its cause.
func (l *Limiter) Wait(ctx context.Context) error {
	switch {
	case l == nil:
		return nil
	case ctx == nil:
		return errNoContext
	}
	return l.acquire(ctx)
}

// Allow takes a turn if there is one now, and reports whether it did. It never waits.
func (l *Limiter) Allow() bool {
	if l == nil {
		return true
	}
	_, ok := l.take(l.now(), 0)
	if ok {
		l.tel.Count(telemetry.ResultAdmitted)
	} else {
		l.tel.Count(telemetry.ResultRejected)
	}
	return ok
}

// acquire takes a turn and returns when it has come.
func (l *Limiter) acquire(ctx context.Context) error {
	if ctx.Err() != nil {
		return l.ended(ctx)
	}
	now := l.now()
	if _, ok := l.take(now, 0); !ok {
		return l.acquireLater(ctx, now)
	}
	l.tel.Count(telemetry.ResultAdmitted)
	return nil
}

// acquireLater is acquire for a call for which there was no turn at now.
func (l *Limiter) acquireLater(ctx context.Context, now time.Duration) error {
	most := l.maxWait
	if deadline, bounded := ctx.Deadline(); bounded {
		most = min(most, max(clock.Until(l.clock, deadline), 0)-1) // at the deadline itself it is too late
	}
	t, ok := l.take(now, most)
	if !ok {
		return l.refuse(ctx, t)
	}
	var timer clock.Timer
	defer timer.Stop()
	if timer.Wait(ctx, l.clock, t.wait) != nil {
		l.giveBack(t)
		return l.ended(ctx)
	}
	l.tel.Count(telemetry.ResultAdmitted)
	if t.wait > 0 {
		l.tel.Waited(ctx, t.wait)
	}
	return nil
}

// refuse tells of a refusal and makes an error of it.
func (l *Limiter) refuse(ctx context.Context, t turn) error {
	e := &RateError{Name: l.name, Rate: t.schedule.rate, Reason: ReasonDeadline, After: max(t.wait, 0)}
	switch {
	case l.maxWait == 0:
		e.Reason = ReasonRate
	case t.wait > l.maxWait:
		e.Reason = ReasonWait
	}
	l.tel.Rejected(ctx, telemetry.Rejection{Reason: e.Reason, RetryAfter: e.After})
	return e
}

// ended tells of a call whose context ended before its turn and returns its error.
func (l *Limiter) ended(ctx context.Context) error {
	l.tel.Count(telemetry.ResultCanceled)
	return ctxerr.NotSent(ctx, l.name, "before the call's turn")
}
