package retry

import (
	"context"

	"github.com/observable-go/toolkit/resilience"
)

// DoValue runs op under p and returns the value of its last attempt, beside an error
// too. The errors are those of [Policy.Do].
//
// A call whose first attempt succeeds, and of which nobody wants to see more than
// that, allocates nothing and reads no clock.
func DoValue[T any](ctx context.Context, p *Policy, op func(context.Context) (T, error)) (value T, err error) {
	if p == nil || ctx == nil || op == nil {
		return doOnce(ctx, p, op)
	}
	rules := p.shared.rules.Load() // once: the call ends under the rules with which it began
	if !p.light(ctx, rules) {
		return run(ctx, p, rules, op, value, nil)
	}
	returned := false
	defer func() {
		if !returned {
			p.panicked(ctx, rules)
		}
	}()
	value, err = op(ctx)
	returned = true
	if err != nil {
		return run(ctx, p, rules, op, value, err)
	}
	p.observeSuccess()
	p.tel.SucceededAtOnce()
	return value, nil
}

// run makes a call that needs more than a first attempt that succeeds. If err is not
// nil the first attempt has been made and failed with it.
func run[T any](ctx context.Context, p *Policy, r *rules, op func(context.Context) (T, error), value T, err error) (T, error) {
	var c call
	defer c.close()
	var more bool
	if err == nil {
		more = c.begin(ctx, p, r)
	} else {
		more = c.resume(ctx, p, r, err)
	}
	for ; more; more = c.next(err) {
		value, err = op(c.attempt)
	}
	return value, c.err
}

// doOnce is the call that a nil policy makes, or that cannot be made.
func doOnce[T any](ctx context.Context, p *Policy, op func(context.Context) (T, error)) (value T, err error) {
	switch {
	case op == nil:
		return value, errNoOperation
	case ctx == nil && p != nil:
		return value, errNoContext
	}
	return op(ctx)
}

// light reports whether a call under ctx owes nothing but a count if it succeeds at
// once, and if so deposits for it.
func (p *Policy) light(ctx context.Context, r *rules) bool {
	if !r.plain || ctx.Err() != nil || p.tel.Watches(ctx) {
		return false
	}
	p.deposit()
	return true
}

// deposit tells the budget of a call.
func (p *Policy) deposit() {
	if b := p.shared.budget; b != nil {
		b.Deposit()
	}
}

// observeSuccess tells a backoff that learns of an attempt that succeeded.
func (p *Policy) observeSuccess() {
	if b := p.shared.learns; b != nil {
		b.Observe(resilience.ClassUnknown, false)
	}
}

// panicked counts a light call whose operation did not return.
func (p *Policy) panicked(ctx context.Context, r *rules) {
	c := call{policy: p, rules: r, attempts: 1, running: true}
	_, c.tel = p.tel.Begin(ctx, r.max)
	c.close()
}

// Wrap returns op decorated with p. See [resilience.Wrap], which takes any policy.
func Wrap[T any](p *Policy, op func(context.Context) (T, error)) func(context.Context) (T, error) {
	return func(ctx context.Context) (T, error) { return DoValue(ctx, p, op) }
}

// Wrap1 is [Wrap] for an operation that takes an argument.
func Wrap1[A, T any](p *Policy, op func(context.Context, A) (T, error)) func(context.Context, A) (T, error) {
	return func(ctx context.Context, arg A) (T, error) {
		return DoValue(ctx, p, func(ctx context.Context) (T, error) { return op(ctx, arg) })
	}
}
