package retryaws

import (
	"fmt"
	"time"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// DefaultThrottleDelay is the delay that those after throttling errors grow from, unless the
// InitialDelay is longer. It is that of the SDK.
const DefaultThrottleDelay = time.Second

// An Option changes a setting of a new [Retryer]. Later options override earlier ones.
type Option func(*settings) error

type settings struct {
	config        retry.Config
	budget        resilience.Budget
	classifier    resilience.Classifier
	throttleDelay *time.Duration
	telemetry     []telemetry.Option
}

// WithConfig sets how often and after which delays a call is retried; the fields that are
// zero take the defaults of package retry: 3 retries, after 1 s, 2 s and 4 s at most. An
// AttemptTimeout is not allowed, as the bodies that a service streams outlive their
// attempt: set a timeout at the HTTP client of the SDK.
func WithConfig(c retry.Config) Option {
	return func(s *settings) error { s.config = c; return nil }
}

// WithThrottleDelay sets the delay before the first retry of a throttling error, before
// jitter: at least 0. It grows as other delays do, up to MaxDelay. By default it is
// [DefaultThrottleDelay], or InitialDelay if that is longer.
func WithThrottleDelay(d time.Duration) Option {
	return func(s *settings) error {
		s.throttleDelay = &d
		if d < 0 {
			return notAllowed("throttle_delay", d, "at least 0s")
		}
		return nil
	}
}

// WithBudget asks b before every retry. A nil b allows no retries. Give the same budget to
// everything that shares a cap; without one the retries of a call are all that is bounded.
func WithBudget(b resilience.Budget) Option {
	return func(s *settings) error {
		if b == nil {
			b = nothing{}
		}
		s.budget = b
		return nil
	}
}

// WithClassifier asks c about errors on which no mark has decided, before the rules of the
// SDK. What c returns resilience.ClassUnknown for is left to those.
func WithClassifier(c resilience.Classifier) Option {
	return func(s *settings) error {
		s.classifier = c
		if c == nil {
			return notAllowed("classifier", "nil", "a function")
		}
		return nil
	}
}

// WithTelemetry changes what the retryer emits. By default that is metrics to the global
// meter provider and events on the span of the caller's context, as of a retry.Policy.
func WithTelemetry(opts ...telemetry.Option) Option {
	return func(s *settings) error { s.telemetry = append(s.telemetry, opts...); return nil }
}

// nothing is the budget that a nil Budget stands for.
type nothing struct{}

func (nothing) Deposit()       {}
func (nothing) Withdraw() bool { return false }
func (nothing) Refund()        {}

func notAllowed(field string, value any, want string) error {
	return fmt.Errorf("%s: %v is not allowed: want %s", field, value, want)
}
