package vectorstore

import (
	"google.golang.org/grpc"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// An Option changes a setting of a new Client. Later options override earlier ones; those of
// gRPC and of telemetry add up.
type Option func(*settings) error

type settings struct {
	name      string
	policy    resilience.Policy
	given     bool // policy, which may be nil
	budget    resilience.Budget
	budgeted  bool
	telemetry []telemetry.Option
	dial      []grpc.DialOption
}

// WithName sets the name before that of each operation in telemetry: "vectorstore" by default,
// which makes "vectorstore.similarity_search". Programs with several stores give each its own.
func WithName(name string) Option {
	return func(s *settings) error {
		s.name = name
		return telemetry.ValidateName(name)
	}
}

// WithPolicy runs calls under p in place of a retry by Config.Retry: a retry of your own, or a
// stack with a breaker. Each operation runs under p by its own name, as [resilience.Named]
// gives it. A nil p runs calls once. It goes with neither Config.Retry, WithBudget nor
// WithTelemetry: those are for p to have.
func WithPolicy(p resilience.Policy) Option {
	return func(s *settings) error { s.policy, s.given = p, true; return nil }
}

// WithBudget caps the retries of everything that shares b. See [retry.WithBudget].
func WithBudget(b resilience.Budget) Option {
	return func(s *settings) error { s.budget, s.budgeted = b, true; return nil }
}

// WithTelemetry changes what the retries emit. See [retry.WithTelemetry].
func WithTelemetry(opts ...telemetry.Option) Option {
	return func(s *settings) error { s.telemetry = append(s.telemetry, opts...); return nil }
}

// WithDialOptions adds options of gRPC, such as other credentials or an instrumentation. Add
// interceptors by grpc.WithChainUnaryInterceptor; they see each attempt. By
// grpc.WithUnaryInterceptor they would replace that which sends the key.
func WithDialOptions(opts ...grpc.DialOption) Option {
	return func(s *settings) error {
		for _, opt := range opts {
			if opt == nil {
				return notAllowed("dial_options", "nil", "an option of gRPC")
			}
		}
		s.dial = append(s.dial, opts...)
		return nil
	}
}

// policyFor returns the policy that the settings and a Config with its defaults ask for. inFile
// says that the Config as it was given had a Retry.
func (s *settings) policyFor(c Config, inFile bool) (resilience.Policy, error) {
	if s.given {
		if inFile || s.budgeted || len(s.telemetry) > 0 {
			return nil, notAllowed("policy", "a policy together with a retry, a budget or telemetry", "a policy that has them, or none")
		}
		return s.policy, nil
	}
	opts := []retry.Option{retry.WithConfig(c.Retry), retry.WithTelemetry(s.telemetry...)}
	if s.budgeted {
		opts = append(opts, retry.WithBudget(s.budget))
	}
	return retry.New(s.name, opts...)
}
