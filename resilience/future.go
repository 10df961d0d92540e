package resilience

import (
	"context"
	"errors"
)

// A Future is the result of a call that runs in a goroutine of its own. It is safe
// for use by several goroutines at once, and may be awaited any number of times.
type Future[T any] struct {
	done  chan struct{}
	value T
	err   error
}

// Go runs op under p in a new goroutine and returns at once. The call ends when ctx
// does, as p rules; it does not end because nobody awaits it. A panic in op ends
// the program, as in any goroutine.
func Go[T any](ctx context.Context, p Policy, op func(context.Context) (T, error)) *Future[T] {
	f := &Future[T]{done: make(chan struct{})}
	go func() {
		defer close(f.done) // also when op calls runtime.Goexit
		f.err = errNoResult
		f.value, f.err = DoValue(ctx, p, op)
	}()
	return f
}

// errNoResult is the result of an operation that left its goroutine.
var errNoResult = errors.New("resilience: the operation called runtime.Goexit")

// Done returns a channel that is closed when the call has ended.
func (f *Future[T]) Done() <-chan struct{} { return f.done }

// Await waits for the call to end and returns its result. If ctx ends first, Await
// returns the cause of that with a zero value; the call goes on and can be awaited
// again. A result that is there already is returned even if ctx is done.
func (f *Future[T]) Await(ctx context.Context) (T, error) {
	select {
	case <-f.done:
		return f.value, f.err
	default:
	}
	select {
	case <-f.done:
		return f.value, f.err
	case <-ctx.Done():
		var zero T
		return zero, context.Cause(ctx)
	}
}
