package stack

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/adaptive"
	"github.com/observable-go/toolkit/resilience/breaker"
	"github.com/observable-go/toolkit/resilience/budget"
	"github.com/observable-go/toolkit/resilience/bulkhead"
	"github.com/observable-go/toolkit/resilience/ratelimit"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/telemetry"
	"github.com/observable-go/toolkit/resilience/timeout"
)

// A Stack is the recommended composition of policies for the calls of one callee. It is safe
// for use by several goroutines at once. A nil *Stack runs an operation once.
type Stack struct {
	total    *timeout.Timeout // nil if left out, like the parts below
	retry    *retry.Policy
	throttle *adaptive.Throttle
	adaptive *adaptive.RateLimiter
	limit    *ratelimit.Limiter
	breaker  *breaker.Breaker
	bulkhead *bulkhead.Bulkhead
	attempt  *timeout.Timeout
	budget   resilience.Budget
}

var _ interface {
	resilience.Part
	resilience.Namer
} = (*Stack)(nil)

// New returns a stack. The name is that of the callee, or of the operation: it identifies
// all parts in telemetry but the attempt timeout, which is "name.attempt".
//
// An order of times that is known to be wrong, such as a timeout that leaves no time for a
// retry, is told to telemetry: see [resilience.Check].
func New(name string, opts ...Option) (*Stack, error) {
	set := settings{timeout: DefaultTimeout, attemptTimeout: unset, bulkheadLimit: DefaultBulkheadLimit}
	for _, opt := range opts {
		if opt != nil {
			opt(&set)
		}
	}
	if err := telemetry.ValidateName(name); err != nil {
		return nil, fmt.Errorf("stack: %w", err)
	}
	if err := set.complete(); err != nil {
		return nil, fmt.Errorf("stack: %q: %w", name, err)
	}
	// Parts that are made take over the gauges of their name from those that live, so that
	// all must be known to be allowed before the first one is. The bulkhead is made between
	// the two: an adaptive limit is for one bulkhead alone.
	trial := set
	trial.off = true
	s := newStack(&set)
	for _, makes := range []func() error{
		func() error { return newStack(&trial).makeParts(name, &trial) },
		func() error { return s.makeBulkhead(name, &set) },
		func() error { return s.makeParts(name, &set) },
	} {
		if err := makes(); err != nil {
			return nil, fmt.Errorf("stack: %q: %w", name, err)
		}
	}
	for _, p := range resilience.Check(s.Stages()...) {
		s.Warn(context.Background(), p)
	}
	return s, nil
}

// MustNew is [New] for package variables: it panics where New returns an error.
func MustNew(name string, opts ...Option) *Stack {
	s, err := New(name, opts...)
	if err != nil {
		panic(err)
	}
	return s
}

// newStack returns a stack of the parts that were given.
func newStack(set *settings) *Stack {
	return &Stack{
		throttle: set.throttle, adaptive: set.adaptive, limit: set.limit,
		breaker: set.breaker.is, bulkhead: set.bulkhead.is, budget: set.budget.is,
	}
}

// makeParts makes all parts but the bulkhead.
func (s *Stack) makeParts(name string, set *settings) error {
	if err := s.makeTimeouts(name, set); err != nil {
		return err
	}
	if err := s.makeRetry(name, set); err != nil { // whose opinion on errors the breaker takes
		return err
	}
	return s.makeBreaker(name, set)
}

func (s *Stack) makeTimeouts(name string, set *settings) (err error) {
	options := []timeout.Option{timeout.WithClock(set.clock), timeout.WithTelemetry(set.signals()...)}
	if set.timeout > 0 {
		if s.total, err = timeout.New(name, set.timeout, options...); err != nil {
			return err
		}
	}
	if set.attemptTimeout == unset {
		set.attemptTimeout = DefaultAttemptTimeout
		if set.timeout > 0 {
			set.attemptTimeout = min(set.attemptTimeout, max(set.timeout/3, 1))
		}
	}
	if set.attemptTimeout > 0 {
		s.attempt, err = timeout.New(telemetry.CleanName(name+".attempt"), set.attemptTimeout, options...)
	}
	return err
}

func (s *Stack) makeRetry(name string, set *settings) (err error) {
	if !set.budget.given {
		s.budget, err = budget.New(name, budget.WithClock(set.clock), budget.WithTelemetry(set.signals()...))
		if err != nil {
			return err
		}
	}
	options := []retry.Option{retry.WithClock(set.clock), retry.WithTelemetry(set.telemetry...)}
	if s.budget != nil {
		options = append(options, retry.WithBudget(s.budget))
	}
	options = append(options, set.retry...)
	if set.off {
		options = append(options, retry.WithTelemetry(telemetry.Off()))
	}
	s.retry, err = retry.New(name, options...)
	switch {
	case err != nil:
		return err
	case !same(s.retry.Budget(), s.budget):
		return errors.New("retry: WithBudget is not allowed here: want WithBudget of the stack")
	case s.retry.Config().AttemptTimeout > 0:
		return errors.New("retry: attempt_timeout is not allowed here, as it would bound waits for a turn too: want that of the stack")
	}
	return nil
}

// same reports whether two budgets are one, also if they cannot be compared.
func same(a, b resilience.Budget) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	if !reflect.ValueOf(a).Comparable() || !reflect.ValueOf(b).Comparable() {
		return reflect.TypeOf(a) == reflect.TypeOf(b)
	}
	return a == b
}

func (s *Stack) makeBreaker(name string, set *settings) (err error) {
	if !set.breaker.given {
		options := []breaker.Option{
			breaker.WithClassifier(s.retry.Classify), breaker.WithClock(set.clock), breaker.WithTelemetry(set.telemetry...),
		}
		options = append(options, set.breakerOptions...)
		if set.off {
			options = append(options, breaker.WithTelemetry(telemetry.Off()))
		}
		s.breaker, err = breaker.New(name, options...)
	}
	return err
}

func (s *Stack) makeBulkhead(name string, set *settings) (err error) {
	if !set.bulkhead.given {
		options := []bulkhead.Option{bulkhead.WithClock(set.clock), bulkhead.WithTelemetry(set.telemetry...)}
		s.bulkhead, err = bulkhead.New(name, set.bulkheadLimit, append(options, set.bulkheadOpts...)...)
	}
	return err
}

// Do implements [resilience.Policy]. Use [DoValue] for operations with a value.
func (s *Stack) Do(ctx context.Context, op resilience.Operation) error {
	if op == nil {
		return errNoOperation
	}
	_, err := DoValue(ctx, s, func(ctx context.Context) (struct{}, error) { return struct{}{}, op(ctx) })
	return err
}

var errNoOperation = resilience.Permanent(errors.New("stack: the operation is nil"))

// DoValue runs op through s and returns the value of its last attempt, beside an error too.
// The errors are those of the parts: see [retry.Error], [timeout.Error],
// [breaker.OpenError] and [bulkhead.FullError].
//
// A call that succeeds at once and for which no timeout has to be armed, as the caller's
// deadline is sooner or as there is none, allocates nothing.
func DoValue[T any](ctx context.Context, s *Stack, op func(context.Context) (T, error)) (T, error) {
	switch {
	case op == nil:
		var none T
		return none, errNoOperation
	case s == nil:
		return op(ctx)
	}
	return timeout.DoValue(ctx, s.total, func(ctx context.Context) (T, error) {
		return retry.DoValue(ctx, s.retry, func(ctx context.Context) (T, error) {
			return adaptive.DoValue(ctx, s.throttle, func(ctx context.Context) (T, error) {
				return adaptive.DoValue(ctx, s.adaptive, func(ctx context.Context) (T, error) {
					return ratelimit.DoValue(ctx, s.limit, func(ctx context.Context) (T, error) {
						return breaker.DoValue(ctx, s.breaker, func(ctx context.Context) (T, error) {
							return bulkhead.DoValue(ctx, s.bulkhead, func(ctx context.Context) (T, error) {
								return timeout.DoValue(ctx, s.attempt, op)
							})
						})
					})
				})
			})
		})
	})
}

// Wrap returns op decorated with s. See [resilience.Wrap], which takes any policy.
func Wrap[T any](s *Stack, op func(context.Context) (T, error)) func(context.Context) (T, error) {
	return func(ctx context.Context) (T, error) { return DoValue(ctx, s, op) }
}

// Wrap1 is [Wrap] for an operation that takes an argument.
func Wrap1[A, T any](s *Stack, op func(context.Context, A) (T, error)) func(context.Context, A) (T, error) {
	return func(ctx context.Context, arg A) (T, error) {
		return DoValue(ctx, s, func(ctx context.Context) (T, error) { return op(ctx, arg) })
	}
}

// Named returns s under the name of an operation: retries show under that name, all else is
// shared. See [retry.Named].
func Named(s *Stack, operation string) *Stack {
	if s == nil {
		return nil
	}
	named := *s
	named.retry = retry.Named(s.retry, operation)
	return &named
}

// WithName is [Named] for [resilience.Named].
func (s *Stack) WithName(operation string) resilience.Policy { return Named(s, operation) }

// Stages returns the parts in their order, outermost first, without those that were left
// out: for [resilience.Check], or to build another composition from.
func (s *Stack) Stages() (stages []resilience.Policy) {
	if s == nil {
		return nil
	}
	add := func(there bool, p resilience.Policy) {
		if there {
			stages = append(stages, p)
		}
	}
	add(s.total != nil, s.total)
	add(true, s.retry)
	add(s.throttle != nil, s.throttle)
	add(s.adaptive != nil, s.adaptive)
	add(s.limit != nil, s.limit)
	add(s.breaker != nil, s.breaker)
	add(s.bulkhead != nil, s.bulkhead)
	add(s.attempt != nil, s.attempt)
	return stages
}

// Retry returns the retry policy, which can be updated while the service runs.
func (s *Stack) Retry() *retry.Policy {
	if s == nil {
		return nil
	}
	return s.retry
}

// Breaker returns the circuit breaker, or nil if there is none.
func (s *Stack) Breaker() *breaker.Breaker {
	if s == nil {
		return nil
	}
	return s.breaker
}

// Bulkhead returns the bulkhead, or nil if there is none.
func (s *Stack) Bulkhead() *bulkhead.Bulkhead {
	if s == nil {
		return nil
	}
	return s.bulkhead
}

// Budget returns the budget that caps the retries, or nil if there is none.
func (s *Stack) Budget() resilience.Budget {
	if s == nil {
		return nil
	}
	return s.budget
}

// Describe implements [resilience.Part]: a stack repeats the operation, as its retry does.
func (s *Stack) Describe() resilience.Description {
	d := s.Retry().Describe()
	d.Kind = "stack"
	d.AttemptTimeout = shorter(d.AttemptTimeout, s.attemptLimit())
	return d
}

func (s *Stack) attemptLimit() time.Duration {
	if s == nil {
		return 0
	}
	return s.attempt.Limit()
}

// shorter returns the shorter one of two bounds, of which 0 is none.
func shorter(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// Warn implements [resilience.Part].
func (s *Stack) Warn(ctx context.Context, p resilience.Problem) { s.Retry().Warn(ctx, p) }
