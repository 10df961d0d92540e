package fallback

import (
	"context"
	"errors"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

var (
	errNoOperation   = resilience.Permanent(errors.New("fallback: the operation is nil"))
	errNoAlternative = resilience.Permanent(errors.New("fallback: the alternative is nil"))
	errNoContext     = resilience.Permanent(errors.New("fallback: the context is nil"))
)

// DoValue runs op and returns its result if it succeeds. If it fails with an error that f
// handles, DoValue returns the result of alternative, which is given that error. If that
// fails too, the error is an [*Error] with both, beside the value of the alternative.
//
// By default every failure is handled but those of [resilience.ClassPermanent]: a record
// that does not exist is an answer, and not replaced. Refusals of inner policies, such as
// that of an open breaker, are handled. If ctx has been cancelled the caller does not wait
// for an answer, and the failure is returned as it is. If that happens while the alternative
// runs, and the alternative fails, the [*Error] is returned as ever, but telemetry shows a
// failure that was passed: no fallback has failed anybody.
//
// A deadline of ctx that has passed is handled. As it is the caller's, the alternative is
// held to it as well: it gets ctx as it is, which is done then, so that only an alternative
// that needs no more time, such as a constant or a cache in memory, can succeed. To leave
// time for another, give op a timeout that is shorter than the caller's.
//
// f itself decides nothing before op has failed: op is called also if ctx is done. A panic
// of op or of the alternative goes on up unchanged. Nothing is allocated if op succeeds.
//
// A nil f calls op alone.
func DoValue[T any](
	ctx context.Context, f *Fallback, op func(context.Context) (T, error), alternative func(ctx context.Context, err error) (T, error),
) (value T, err error) {
	switch {
	case op == nil:
		return value, errNoOperation
	case f == nil:
		return op(ctx)
	case alternative == nil:
		return value, errNoAlternative
	case ctx == nil:
		return value, errNoContext
	}
	returned := false
	defer func() {
		if !returned {
			f.tel.Count(telemetry.ResultPanic)
		}
	}()
	if value, err = op(ctx); err != nil && f.handles(ctx, err) {
		value, err = replace(ctx, f, err, alternative)
	} else {
		f.tel.Count(resultOf(err))
	}
	returned = true
	return value, err
}

// resultOf returns the result of a call that ends with what op returned.
func resultOf(err error) telemetry.Result {
	if err != nil {
		return telemetry.ResultPassed
	}
	return telemetry.ResultPrimary
}

// replace returns the result of the alternative to a failure.
func replace[T any](
	ctx context.Context, f *Fallback, primary error, alternative func(context.Context, error) (T, error),
) (T, error) {
	value, err := alternative(ctx, primary)
	if err == nil {
		if f.tel != nil { // nobody else asks for the type
			f.tel.FallbackUsed(ctx, primary, resilience.ErrorType(primary))
		}
		return value, nil
	}
	both := &Error{Name: f.name, Err: err, Primary: primary}
	switch {
	case canceled(ctx):
		f.tel.Count(telemetry.ResultPassed)
	case f.tel != nil:
		f.tel.FallbackFailed(ctx, both.failures(), resilience.ErrorType(err))
	}
	return value, both
}

// Wrap returns op decorated with f: a function that looks like op and falls back on the
// alternative.
func Wrap[T any](
	f *Fallback, op func(context.Context) (T, error), alternative func(ctx context.Context, err error) (T, error),
) func(context.Context) (T, error) {
	return func(ctx context.Context) (T, error) { return DoValue(ctx, f, op, alternative) }
}

// Wrap1 is [Wrap] for an operation that takes an argument. The alternative is given it too.
func Wrap1[A, T any](
	f *Fallback, op func(context.Context, A) (T, error), alternative func(ctx context.Context, arg A, err error) (T, error),
) func(context.Context, A) (T, error) {
	switch {
	case op == nil:
		return func(context.Context, A) (value T, err error) { return value, errNoOperation }
	case f != nil && alternative == nil:
		return func(context.Context, A) (value T, err error) { return value, errNoAlternative }
	}
	return func(ctx context.Context, arg A) (T, error) {
		return DoValue(ctx, f,
			func(ctx context.Context) (T, error) { return op(ctx, arg) },
			func(ctx context.Context, err error) (T, error) { return alternative(ctx, arg, err) })
	}
}

// Value returns an alternative that is always the same value.
func Value[T any](value T) func(ctx context.Context, err error) (T, error) {
	return func(context.Context, error) (T, error) { return value, nil }
}
