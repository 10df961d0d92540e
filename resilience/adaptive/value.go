package adaptive

import "context"

// DoValue runs op under p, a [*RateLimiter] or a [*Throttle], and returns what op returned:
// the value beside an error too. It is what their Do does, for an operation with a value.
//
// While a limiter does not limit, and while a throttle has seen no failure within its
// window, a call allocates nothing and takes no lock. Both read the clock once after a
// call, to count it.
func DoValue[T any, P *RateLimiter | *Throttle](ctx context.Context, p P, op func(context.Context) (T, error)) (T, error) {
	if t, ok := any(p).(*Throttle); ok {
		return doThrottled(ctx, t, op)
	}
	l, _ := any(p).(*RateLimiter)
	return doLimited(ctx, l, op)
}

// once makes the call of a nil policy, or the one that cannot be made.
func once[T any](ctx context.Context, guarded bool, op func(context.Context) (T, error)) (value T, err error) {
	switch {
	case op == nil:
		return value, errNoOperation
	case ctx == nil && guarded:
		return value, errNoContext
	}
	return op(ctx)
}
