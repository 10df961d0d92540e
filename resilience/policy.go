package resilience

import "context"

// An Operation is one thing to do that may fail. It receives the context of the
// attempt, which carries the attempt's deadline, and must return soon after that
// context is done: no policy can stop an operation that does not listen.
type Operation = func(ctx context.Context) error

// A Policy decides whether, when and how often an operation runs.
//
// Do calls op zero or more times, never two at a time and never after Do has
// returned. It returns nil if the operation succeeded in the end. Implementations
// are safe for use by several goroutines at once.
//
// Every policy of this toolkit implements it; so may yours. What produces values
// rather than errors goes through [DoValue], [Wrap] or [Go].
type Policy interface {
	Do(ctx context.Context, op Operation) error
}

// PolicyFunc makes a Policy of a function. A nil PolicyFunc runs the operation once.
type PolicyFunc func(ctx context.Context, op Operation) error

// Do calls f.
func (f PolicyFunc) Do(ctx context.Context, op Operation) error {
	switch {
	case op == nil:
		return errNoOperation
	case f == nil:
		return op(ctx)
	}
	return f(ctx, op)
}

// once runs the operation once and returns its error as it is.
var once = PolicyFunc(nil)
