package bulkhead

import (
	"context"

	"github.com/observable-go/toolkit/resilience"
)

// Do runs op once in a slot, waiting for the slot if need be, and returns the error of op
// as it is. If op is not run the error is a [*FullError]; or, if ctx ended before the
// call's turn, one that wraps the context's error and its cause. With a context that is
// done already op is not run.
//
// A nil b runs op once, unguarded.
func (b *Bulkhead) Do(ctx context.Context, op resilience.Operation) error {
	if op == nil {
		return errNoOperation
	}
	_, err := DoValue(ctx, b, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, op(ctx)
	})
	return err
}

// DoValue is [Bulkhead.Do] for an operation that returns a value, which it returns beside
// an error too. A call that need not wait allocates nothing.
func DoValue[T any](ctx context.Context, b *Bulkhead, op func(context.Context) (T, error)) (value T, err error) {
	switch {
	case op == nil:
		return value, errNoOperation
	case b == nil:
		return op(ctx)
	case ctx == nil:
		return value, errNoContext
	}
	s, err := b.acquire(ctx)
	if err != nil {
		return value, err
	}
	defer b.end() // also if op panics or leaves its goroutine
	if b.adaptive == nil {
		return op(ctx)
	}
	a := b.adaptive.begin(b, s)
	value, err = op(ctx)
	a.end(err)
	return value, err
}
