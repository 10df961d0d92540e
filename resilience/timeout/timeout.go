package timeout

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// A Timeout gives an operation a context that ends after a fixed time. It is safe for use
// by several goroutines at once. A nil *Timeout sets no bound.
type Timeout struct {
	name  string
	limit time.Duration
	cause error // of the context's end
	clock clock.Clock
	tel   *telemetry.Guard // nil if off
}

var _ resilience.Part = (*Timeout)(nil)

// An Option changes a setting of a new timeout.
type Option func(*settings)

type settings struct {
	clock     clock.Clock
	telemetry []telemetry.Option
}

// WithTelemetry changes what the timeout emits.
func WithTelemetry(opts ...telemetry.Option) Option {
	return func(s *settings) { s.telemetry = append(s.telemetry, opts...) }
}

// WithClock runs the timeout on another clock than the real one. It is for simulators;
// tests are served better by testing/synctest. A nil clock is the real one.
func WithClock(c clock.Clock) Option {
	return func(s *settings) { s.clock = c }
}

// New returns a timeout after limit, which is more than 0. The name identifies it in
// telemetry.
func New(name string, limit time.Duration, opts ...Option) (*Timeout, error) {
	if err := telemetry.ValidateName(name); err != nil {
		return nil, fmt.Errorf("timeout: %w", err)
	}
	if limit <= 0 {
		return nil, fmt.Errorf("timeout: %q: limit: %v is not allowed: want more than 0s", name, limit)
	}
	var s settings
	for _, opt := range opts {
		if opt != nil {
			opt(&s)
		}
	}
	tel, err := telemetry.NewTimeout(name, s.telemetry...)
	if err != nil {
		return nil, fmt.Errorf("timeout: %q: %w", name, err)
	}
	return &Timeout{name: name, limit: limit, cause: &expired{name, limit}, clock: s.clock, tel: tel}, nil
}

// MustNew is [New] for package variables: it panics where New returns an error.
func MustNew(name string, limit time.Duration, opts ...Option) *Timeout {
	t, err := New(name, limit, opts...)
	if err != nil {
		panic(err)
	}
	return t
}

// Do implements [resilience.Policy]. Use [DoValue] for operations with a value.
func (t *Timeout) Do(ctx context.Context, op resilience.Operation) error {
	if op == nil {
		return errNoOperation
	}
	_, err := DoValue(ctx, t, func(ctx context.Context) (struct{}, error) { return struct{}{}, op(ctx) })
	return err
}

// DoValue runs op under a context that ends after t's limit, and returns what op returns.
// An error that op returns after its time has passed comes back as an [*Error] that wraps
// it; a success that comes late is a success. The operation is called in any case: it
// sees for itself that a context is done.
//
// Where the context ends sooner by itself nothing is armed and nothing allocated.
func DoValue[T any](ctx context.Context, t *Timeout, op func(context.Context) (T, error)) (value T, err error) {
	switch {
	case op == nil:
		return value, errNoOperation
	case t == nil:
		return op(ctx)
	case ctx == nil:
		return value, errNoContext
	}
	returned := false
	defer func() {
		if !returned {
			t.tel.Count(telemetry.ResultPanic)
		}
	}()
	if t.idle(ctx) {
		value, err = op(ctx)
		returned = true
		t.tel.Count(telemetry.ResultCompleted)
		return value, err
	}
	limited, cancel := clock.WithTimeoutCause(ctx, t.clock, t.limit, t.cause)
	defer cancel()
	scoped, end := resilience.Scope(ctx, limited)
	value, err = op(scoped)
	returned = true
	passed := limited.Err() != nil && ctx.Err() == nil
	end()
	if err == nil || !passed {
		t.tel.Count(telemetry.ResultCompleted)
		return value, err
	}
	t.tel.TimedOut(ctx, t.limit)
	return value, &Error{Name: t.name, Limit: t.limit, Err: err}
}

// idle reports whether the context ends no later than the timeout would end it.
func (t *Timeout) idle(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && clock.Until(t.clock, deadline) <= t.limit
}

// Name returns the name under which telemetry shows the timeout.
func (t *Timeout) Name() string {
	if t == nil {
		return ""
	}
	return t.name
}

// Limit returns how long an operation may take, or 0 for a nil *Timeout.
func (t *Timeout) Limit() time.Duration {
	if t == nil {
		return 0
	}
	return t.limit
}

// Describe implements [resilience.Part].
func (t *Timeout) Describe() resilience.Description {
	return resilience.Description{Kind: "timeout", Name: t.Name(), Timeout: t.Limit()}
}

// Warn implements [resilience.Part].
func (t *Timeout) Warn(ctx context.Context, p resilience.Problem) {
	if t != nil {
		t.tel.Warn(ctx, p.Reason, p.Detail)
	}
}

// An Error reports that an operation failed after its time had passed. It wraps the
// operation's error and is [context.DeadlineExceeded]; policies take it for a failure that
// may be over at the next attempt, unless the operation's error says otherwise.
type Error struct {
	// Name is that of the timeout.
	Name string
	// Limit is how long the operation was allowed to take.
	Limit time.Duration
	// Err is what the operation returned.
	Err error
}

// Error returns a text such as
//
//	inventory: timed out after 2s: context deadline exceeded
func (e *Error) Error() string {
	return fmt.Sprintf("%s: timed out after %v: %v", e.Name, e.Limit, e.Err)
}

// Timeout returns true, as the errors of package net do.
func (*Error) Timeout() bool { return true }

// ErrorType returns "timeout".
func (*Error) ErrorType() string { return "timeout" }

// Unwrap returns the operation's error and [context.DeadlineExceeded].
func (e *Error) Unwrap() []error { return []error{e.Err, context.DeadlineExceeded} }

// expired is the cause of the end of the operation's context, so that a trace tells this
// timeout from another.
type expired struct {
	name  string
	limit time.Duration
}

func (e *expired) Error() string { return fmt.Sprintf("timeout %s of %v", e.name, e.limit) }
func (*expired) Timeout() bool   { return true }
func (*expired) Unwrap() error   { return context.DeadlineExceeded }

// ErrorType is for instrumentation further in, which sees the cause as an error.
func (*expired) ErrorType() string { return "timeout" }

var (
	errNoOperation = resilience.Permanent(errors.New("timeout: the operation is nil"))
	errNoContext   = resilience.Permanent(errors.New("timeout: the context is nil"))
)
