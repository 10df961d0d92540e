package stack

import (
	"errors"
	"fmt"
	"time"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/adaptive"
	"github.com/observable-go/toolkit/resilience/breaker"
	"github.com/observable-go/toolkit/resilience/bulkhead"
	"github.com/observable-go/toolkit/resilience/ratelimit"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// Defaults of a new stack. What is not here is the default of the part's own package.
const (
	DefaultTimeout        = 30 * time.Second
	DefaultAttemptTimeout = 10 * time.Second // or a third of the timeout, if that is less
	DefaultBulkheadLimit  = 1000             // calls
)

// An Option changes a setting of a new stack.
type Option func(*settings)

type settings struct {
	timeout        time.Duration
	attemptTimeout time.Duration // unset: see DefaultAttemptTimeout
	retry          []retry.Option
	budget         part[resilience.Budget]
	noBudget       bool // WithBudget was given nil
	limit          *ratelimit.Limiter
	adaptive       *adaptive.RateLimiter
	throttle       *adaptive.Throttle
	breaker        part[*breaker.Breaker]
	breakerOptions []breaker.Option
	bulkhead       part[*bulkhead.Bulkhead]
	bulkheadLimit  int
	bulkheadOpts   []bulkhead.Option
	limitsBulkhead bool // WithBulkheadLimit was given
	clock          clock.Clock
	telemetry      []telemetry.Option
	off            bool // nothing is emitted, as the stack is made on trial
	err            error
}

// part is a part that the user gave, or left out by giving none.
type part[P any] struct {
	given bool
	is    P
}

const unset = -1

// WithTimeout bounds the whole call, its retries and waits: at least 0, 30 s by default; 0
// is no bound.
func WithTimeout(d time.Duration) Option {
	return func(s *settings) { s.timeout = d; s.atLeast0("timeout", d) }
}

// WithAttemptTimeout bounds each attempt: at least 0, 10 s by default, or a third of the
// timeout if that is less; 0 is no bound.
func WithAttemptTimeout(d time.Duration) Option {
	return func(s *settings) { s.attemptTimeout = d; s.atLeast0("attempt_timeout", d) }
}

// WithRetry adds options of the retry policy. A budget belongs into [WithBudget], and a
// timeout of attempts into [WithAttemptTimeout].
func WithRetry(opts ...retry.Option) Option {
	return func(s *settings) { s.retry = append(s.retry, opts...) }
}

// WithBudget caps the retries by b, which may be shared with other stacks, in place of a
// budget of the stack's own.
func WithBudget(b resilience.Budget) Option {
	return func(s *settings) { s.budget, s.noBudget = part[resilience.Budget]{true, b}, b == nil }
}

// WithoutBudget caps no retries, which turns an outage of the callee into four times its
// load.
func WithoutBudget() Option {
	return func(s *settings) { s.budget, s.noBudget = part[resilience.Budget]{given: true}, false }
}

// WithRateLimit limits the rate of attempts by l. By default nothing does.
func WithRateLimit(l *ratelimit.Limiter) Option {
	return func(s *settings) { s.limit = l }
}

// WithAdaptiveRate limits the rate of attempts by l, which follows what the callee can bear.
// By default nothing does.
func WithAdaptiveRate(l *adaptive.RateLimiter) Option {
	return func(s *settings) { s.adaptive = l }
}

// WithThrottle rejects attempts by t while the callee accepts too few of them: softer than
// a circuit breaker, in place of which it stands best. By default nothing does.
func WithThrottle(t *adaptive.Throttle) Option {
	return func(s *settings) { s.throttle = t }
}

// WithBreakerOptions adds options of the stack's circuit breaker, which by default takes
// the opinion of the retry policy on errors.
func WithBreakerOptions(opts ...breaker.Option) Option {
	return func(s *settings) { s.breakerOptions = append(s.breakerOptions, opts...) }
}

// WithBreaker takes b in place of a breaker of the stack's own. It keeps its own rules of
// what counts: see [breaker.WithClassifier]. A nil b is none.
func WithBreaker(b *breaker.Breaker) Option {
	return func(s *settings) { s.breaker = part[*breaker.Breaker]{true, b} }
}

// WithBulkheadLimit sets how many attempts run at a time, 1000 by default, and further options of
// the stack's bulkhead.
func WithBulkheadLimit(limit int, opts ...bulkhead.Option) Option {
	return func(s *settings) { s.bulkheadLimit, s.bulkheadOpts, s.limitsBulkhead = limit, opts, true }
}

// WithBulkhead takes b in place of a bulkhead of the stack's own. A nil b is none.
func WithBulkhead(b *bulkhead.Bulkhead) Option {
	return func(s *settings) { s.bulkhead = part[*bulkhead.Bulkhead]{true, b} }
}

// WithTelemetry changes what the parts emit that the stack makes.
func WithTelemetry(opts ...telemetry.Option) Option {
	return func(s *settings) { s.telemetry = append(s.telemetry, opts...) }
}

// WithClock runs the parts that the stack makes on another clock than the real one. It is
// for simulators; tests are served better by testing/synctest. A nil clock is the real one.
func WithClock(c clock.Clock) Option {
	return func(s *settings) { s.clock = c }
}

// signals returns the options of telemetry of a part.
func (s *settings) signals() []telemetry.Option {
	if s.off {
		return []telemetry.Option{telemetry.Off()}
	}
	return s.telemetry
}

// complete returns what is not allowed.
func (s *settings) complete() error {
	const want = "is not allowed together with a part that is given: set the options where that is made"
	switch {
	case s.err != nil:
		return s.err
	case s.noBudget:
		return errors.New("budget: nil is not allowed: want a budget, or WithoutBudget")
	case s.breaker.given && len(s.breakerOptions) > 0:
		return errors.New("breaker: WithBreakerOptions " + want)
	case s.bulkhead.given && s.limitsBulkhead:
		return errors.New("bulkhead: WithBulkheadLimit " + want)
	}
	return nil
}

func (s *settings) atLeast0(field string, d time.Duration) {
	if d < 0 && s.err == nil {
		s.err = fmt.Errorf("%s: %v is not allowed: want at least 0s; 0s is no bound", field, d)
	}
}
