package resilience

import (
	"context"
	"errors"
)

// DoValue runs op under p and returns the value of its last call. The value comes
// beside an error too: what the operation returned together with its last error
// is not lost. A nil p runs op once.
//
// Packages of this toolkit that can do it with fewer allocations have a DoValue of
// their own, such as retry.DoValue; this one serves any policy.
func DoValue[T any](ctx context.Context, p Policy, op func(context.Context) (T, error)) (T, error) {
	var value T
	switch {
	case op == nil:
		return value, errNoOperation
	case p == nil:
		return op(ctx)
	}
	err := p.Do(ctx, func(ctx context.Context) (err error) {
		value, err = op(ctx)
		return err
	})
	return value, err
}

var errNoOperation = Permanent(errors.New("resilience: the operation is nil"))

// Wrap returns op decorated with p: a function that looks like op and runs under
// the policy. The decorated function may be called by several goroutines at once
// if op may.
func Wrap[T any](p Policy, op func(context.Context) (T, error)) func(context.Context) (T, error) {
	return func(ctx context.Context) (T, error) {
		return DoValue(ctx, p, op)
	}
}

// Wrap1 is [Wrap] for an operation that takes an argument.
//
//	fetch := resilience.Wrap1(policy, client.Fetch) // func(ctx, id) (Item, error)
//	item, err := fetch(ctx, id)
func Wrap1[A, T any](p Policy, op func(context.Context, A) (T, error)) func(context.Context, A) (T, error) {
	return func(ctx context.Context, arg A) (T, error) {
		return DoValue(ctx, p, func(ctx context.Context) (T, error) { return op(ctx, arg) })
	}
}
