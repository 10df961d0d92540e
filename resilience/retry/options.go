package retry

import (
	"context"
	"time"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// An Option changes a setting of a new policy. Later options override earlier ones;
// WithRetryable, WithPermanent and their forms for types add up.
type Option func(*settings) error

type settings struct {
	config    Config
	classes   resilience.Rules
	backoff   backoff.Backoff
	budget    resilience.Budget
	onRetry   func(context.Context, Retry)
	clock     clock.Clock
	telemetry []telemetry.Option
}

// WithConfig sets all that a [Config] holds: zero fields to their defaults.
func WithConfig(c Config) Option {
	return func(s *settings) error { s.config = c; return nil }
}

// WithMaxRetries sets Config.MaxRetries; 0 is no retries.
func WithMaxRetries(n int) Option {
	return func(s *settings) error { s.config.MaxRetries = n; return s.set(setMaxRetries) }
}

// WithInitialDelay sets Config.InitialDelay; 0 is no delays.
func WithInitialDelay(d time.Duration) Option {
	return func(s *settings) error { s.config.InitialDelay = d; return s.set(setInitialDelay) }
}

// WithMaxDelay sets Config.MaxDelay.
func WithMaxDelay(d time.Duration) Option {
	return func(s *settings) error { s.config.MaxDelay = d; return s.set(setMaxDelay) }
}

// WithExponentialBase sets Config.ExponentialBase; 1 is a constant delay.
func WithExponentialBase(base float64) Option {
	return func(s *settings) error { s.config.ExponentialBase = base; return s.set(setExponentialBase) }
}

// WithJitter sets Config.Jitter.
func WithJitter(j backoff.Jitter) Option {
	return func(s *settings) error { s.config.Jitter = j; return s.set(setJitter) }
}

// WithAttemptTimeout sets Config.AttemptTimeout.
func WithAttemptTimeout(d time.Duration) Option {
	return func(s *settings) error { s.config.AttemptTimeout = d; return s.set(setAttemptTimeout) }
}

// WithMaxElapsed sets Config.MaxElapsed.
func WithMaxElapsed(d time.Duration) Option {
	return func(s *settings) error { s.config.MaxElapsed = d; return s.set(setMaxElapsed) }
}

// WithMaxPushback sets Config.MaxPushback; 0 obeys no callee that says when to come
// back, and ends the call instead.
func WithMaxPushback(d time.Duration) Option {
	return func(s *settings) error { s.config.MaxPushback = d; return s.set(setMaxPushback) }
}

// WithBackoff takes delays from b in place of the exponential backoff of the Config,
// also after an Update. The bounds are those of b; a negative delay counts as 0.
//
// A b with a method Observe(resilience.Class, bool) is told of every attempt: its class,
// resilience.ClassUnknown for a success, and whether the callee asked for fewer calls, as
// resilience.Throttled tells.
// Attempts that the caller cancelled or that did not reach the callee are left out. Delays of package adaptive learn by it.
func WithBackoff(b backoff.Backoff) Option {
	return func(s *settings) error {
		s.backoff = b
		if b == nil {
			return notAllowed("backoff", b, "a backoff.Backoff")
		}
		if v, ok := b.(interface{ Validate() error }); ok {
			return v.Validate()
		}
		return nil
	}
}

// WithRetryable retries errors that errors.Is finds equal to one of targets.
func WithRetryable(targets ...error) Option {
	return func(s *settings) error {
		for _, target := range targets {
			if target == nil {
				return notAllowed("retryable", target, "an error")
			}
			s.classes.Retryable = append(s.classes.Retryable, resilience.MatchIs(target))
		}
		return nil
	}
}

// WithPermanent does not retry errors that errors.Is finds equal to one of targets.
func WithPermanent(targets ...error) Option {
	return func(s *settings) error {
		for _, target := range targets {
			if target == nil {
				return notAllowed("permanent", target, "an error")
			}
			s.classes.Permanent = append(s.classes.Permanent, resilience.MatchIs(target))
		}
		return nil
	}
}

// WithRetryableType retries errors in which errors.As finds an E.
func WithRetryableType[E error]() Option {
	return func(s *settings) error {
		s.classes.Retryable = append(s.classes.Retryable, resilience.MatchAs[E]())
		return nil
	}
}

// WithPermanentType does not retry errors in which errors.As finds an E.
func WithPermanentType[E error]() Option {
	return func(s *settings) error {
		s.classes.Permanent = append(s.classes.Permanent, resilience.MatchAs[E]())
		return nil
	}
}

// WithClassifier asks c about errors on which neither a mark nor WithPermanent has
// decided. See [resilience.Rules] for the order.
func WithClassifier(c resilience.Classifier) Option {
	return func(s *settings) error {
		s.classes.Classifier = c
		if c == nil {
			return notAllowed("classifier", "nil", "a function")
		}
		return nil
	}
}

// WithUnknown sets the class of errors on which nobody has an opinion. It is
// resilience.ClassUnknown by default: they are not retried, and the outcome of their
// calls is "unclassified".
func WithUnknown(c resilience.Class) Option {
	return func(s *settings) error {
		s.classes.Unknown = c
		if c > resilience.ClassPermanent {
			return notAllowed("unknown", c, "unknown, retryable or permanent")
		}
		return nil
	}
}

// WithoutDefaults retries no error for being a known transient failure: only options,
// marks and the errors' own methods count, and the policy's own attempt timeout.
func WithoutDefaults() Option {
	return func(s *settings) error { s.classes.WithoutKnown = true; return nil }
}

// WithBudget asks b before every retry. A nil b allows no retries.
func WithBudget(b resilience.Budget) Option {
	return func(s *settings) error {
		if b == nil {
			b = nothing{}
		}
		s.budget = b
		return nil
	}
}

// nothing is the budget that a nil Budget stands for.
type nothing struct{}

func (nothing) Deposit()       {}
func (nothing) Withdraw() bool { return false }
func (nothing) Refund()        {}

// A Retry is what an OnRetry hook is told.
type Retry struct {
	Policy  string
	Attempt int           // that starts now: 2 for the first retry
	Max     int           // attempts that the policy allows
	Delay   time.Duration // that was waited
	Err     error         // of the attempt before
}

// WithOnRetry calls f immediately before each retry is sent, after its wait. It is called
// by the goroutine of the call, which waits for it. If the context is done when f
// returns, the retry is not sent; MaxElapsed does not count the time that f takes.
func WithOnRetry(f func(ctx context.Context, r Retry)) Option {
	return func(s *settings) error {
		s.onRetry = f
		if f == nil {
			return notAllowed("on_retry", "nil", "a function")
		}
		return nil
	}
}

// WithTelemetry changes what the policy emits. By default it emits metrics to the
// global meter provider and events on the span of the caller's context.
func WithTelemetry(opts ...telemetry.Option) Option {
	return func(s *settings) error { s.telemetry = append(s.telemetry, opts...); return nil }
}

// WithClock runs the policy on another clock than the real one. It is for the simulators of
// this project: no other package can implement the interface. Tests are served better by
// testing/synctest. A nil clock is the real one.
func WithClock(c clock.Clock) Option {
	return func(s *settings) error { s.clock = c; return nil }
}

func (s *settings) set(field fieldSet) error {
	s.config.explicit |= field
	return nil
}

func notAllowed(field string, value any, want string) error {
	return &ConfigError{Field: field, Value: value, Want: want}
}
