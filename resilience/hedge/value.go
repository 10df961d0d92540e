package hedge

import (
	"context"

	"github.com/observable-go/toolkit/internal/ctxerr"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// DoValue starts op and, each time a delay has passed without a result, another copy of it,
// up to the most that h allows. The first copy that succeeds, or that fails with an error
// of [resilience.ClassPermanent], decides: DoValue returns its value and error at once. A
// copy that fails otherwise waits for those that run; if all of them have failed, the last
// failure is returned, beside the value that came with it. A failure starts no further copy.
// Of a copy that retried by itself its last failure counts, and a refusal that never reached
// the callee decides nothing: see [resilience.CalleeError].
//
// op is called by several goroutines at once and must not write to variables of the caller.
// Each copy has a context of its own; from the second on it carries a
// [resilience.Attempt] that says which copy it is. When the call has been decided, the
// contexts of the other copies end with the cause [ErrLost]. Their goroutines run on until
// op returns, also after DoValue has.
//
// discard is given the value of a copy that succeeded too late, exactly once, in the
// goroutine of that copy; it is not called for values that came beside an error. If DoValue
// panics, as a budget may make it, discard is given the value that nobody gets too. A discard
// that panics is told to telemetry and does nothing else. A nil discard says that a value
// holds nothing that must be freed: then the context of the copy that won ends with the
// call. With a discard that context lives on for what the value does with it, such as
// reading a response, until ctx ends: ctx should be one that ends, as every call leaves a
// few hundred bytes with it; and a goroutine, if ctx is a type of somebody else's whose Done
// is not that of a context of package context and which has no method AfterFunc.
// [resilience.Retain] works in op in both cases, and lets op say itself when its context
// ends.
//
// If ctx ends before a copy has decided, DoValue returns at once. Whenever ctx has ended and
// no copy has succeeded, the error wraps [context.Cause] of ctx, its Err and the last
// failure, if there was one. If ctx has ended already, op is not called. Under
// [resilience.NoRetry] op runs once, in the goroutine of the caller and with ctx, and a budget
// gets its deposit.
//
// A panic of a copy, until the call is decided, ends the call: DoValue panics with the same
// value. Later ones are told to telemetry and go no further. A copy that calls
// [runtime.Goexit] has failed.
//
// A nil h, and the zero value, call op once, with ctx.
func DoValue[T any](ctx context.Context, h *Hedge, op func(context.Context) (T, error), discard func(T)) (value T, err error) {
	switch {
	case op == nil:
		return value, errNoOperation
	case h == nil || h.copies == 0:
		return op(ctx)
	case ctx == nil:
		return value, errNoContext
	case ctx.Err() != nil:
		h.tel.Count(telemetry.ResultCanceled)
		return value, ctxerr.NotSent(ctx, h.name, "before the call")
	}
	h.deposit(ctx)
	if !resilience.MayRetry(ctx) {
		return once(ctx, h, op)
	}
	c := call[T]{hedge: h, ctx: ctx, op: op, discard: discard}
	return c.run()
}

// once makes a call that must not be hedged.
func once[T any](ctx context.Context, h *Hedge, op func(context.Context) (T, error)) (value T, err error) {
	result := telemetry.ResultPanic
	defer func() { h.tel.Count(result) }()
	value, err = op(ctx)
	switch {
	case err != nil && ctx.Err() != nil:
		result = telemetry.ResultCanceled
	case h.conclusive(err):
		result = telemetry.ResultPrimary
	default:
		result = telemetry.ResultFailed
	}
	return value, err
}

// Wrap returns op decorated with h: a function that looks like op and is hedged. It serves
// as the operation of a policy that stands outside of the hedge.
func Wrap[T any](h *Hedge, op func(context.Context) (T, error), discard func(T)) func(context.Context) (T, error) {
	return func(ctx context.Context) (T, error) { return DoValue(ctx, h, op, discard) }
}

// Wrap1 is [Wrap] for an operation that takes an argument. The copies share the argument.
func Wrap1[A, T any](
	h *Hedge, op func(context.Context, A) (T, error), discard func(T),
) func(context.Context, A) (T, error) {
	if op == nil {
		return func(context.Context, A) (value T, err error) { return value, errNoOperation }
	}
	return func(ctx context.Context, arg A) (T, error) {
		return DoValue(ctx, h, func(ctx context.Context) (T, error) { return op(ctx, arg) }, discard)
	}
}
