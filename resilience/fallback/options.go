package fallback

import (
	"errors"
	"fmt"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// An Option changes a setting of a new fallback.
type Option func(*settings)

type settings struct {
	handled   func(error) bool
	rules     resilience.Rules
	problem   error // of an option that was given nil
	telemetry []telemetry.Option
}

// WithHandled lets handled decide which failures the alternative replaces, in place of their
// class. It must be safe for use by several goroutines at once. A caller that has cancelled
// gets its failure all the same.
func WithHandled(handled func(err error) bool) Option {
	return func(s *settings) {
		if s.handled = handled; handled == nil {
			s.problem = errNoHandled
		}
	}
}

// WithClassifier asks c which failures are permanent and so not replaced. It is asked where
// an error's marks have not decided: see [resilience.Rules]. It does not go together with
// [WithHandled], which leaves nothing to ask.
func WithClassifier(c resilience.Classifier) Option {
	return func(s *settings) {
		if s.rules.Classifier = c; c == nil {
			s.problem = errNoClassifier
		}
	}
}

// WithTelemetry changes what the fallback emits.
func WithTelemetry(opts ...telemetry.Option) Option {
	return func(s *settings) { s.telemetry = append(s.telemetry, opts...) }
}

func (s *settings) validate(name string) error {
	if err := telemetry.ValidateName(name); err != nil {
		return fmt.Errorf("fallback: %w", err)
	}
	problem := s.problem
	if s.handled != nil && s.rules.Classifier != nil {
		problem = errBoth
	}
	if problem != nil {
		return fmt.Errorf("fallback: %q: %w", name, problem)
	}
	return nil
}

var (
	errNoHandled    = errors.New("handled: nil is not allowed: want a function")
	errNoClassifier = errors.New("classifier: nil is not allowed: want a function")
	errBoth         = errors.New("handled and classifier: both is not allowed: want one of them")
)
