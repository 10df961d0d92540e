package generation

import (
	"github.com/openai/openai-go/v3/option"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// An Option changes a setting of a new client that is not data.
type Option func(*settings) error

type settings struct {
	policy    resilience.Policy
	hasPolicy bool
	retry     []retry.Option
	requests  []option.RequestOption
}

// WithPolicy puts the client's calls under a policy of yours in place of one of Config.Retry, such
// as a stack with a breaker. A nil policy makes each call once.
func WithPolicy(p resilience.Policy) Option {
	return func(s *settings) error { s.policy, s.hasPolicy = p, true; return nil }
}

// WithBudget asks b before every retry. It does not go with WithPolicy, whose policy has the
// budget.
func WithBudget(b resilience.Budget) Option {
	return func(s *settings) error {
		if b == nil {
			return notAllowed("budget", "nil", "a budget")
		}
		s.retry = append(s.retry, retry.WithBudget(b))
		return nil
	}
}

// WithTelemetry changes what the policy of Config.Retry emits. It does not go with WithPolicy.
func WithTelemetry(opts ...telemetry.Option) Option {
	return func(s *settings) error { s.retry = append(s.retry, retry.WithTelemetry(opts...)); return nil }
}

// WithRequestOptions adds options of the official client to every request: other headers,
// another *http.Client, middlewares, which see every attempt. Its own retries stay switched
// off.
func WithRequestOptions(opts ...option.RequestOption) Option {
	return func(s *settings) error {
		for _, opt := range opts {
			if opt == nil {
				return notAllowed("request_options", "nil", "an option")
			}
		}
		s.requests = append(s.requests, opts...)
		return nil
	}
}
