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
	noHandled bool // WithHandled was given nil
	rules     resilience.Rules
	// noClassifier: WithClassifier was given nil.
	noClassifier bool
	telemetry    []telemetry.Option
}

// WithHandled lets handled decide which failures the alternative replaces, in place of their
// class. It must be safe for use by several goroutines at once. A caller that has cancelled
// gets its failure all the same.
func WithHandled(handled func(err error) bool) Option {
	return func(s *settings) { s.handled, s.noHandled = handled, handled == nil }
}

// WithClassifier asks c which failures are permanent and so not replaced. It is asked where
// an error's marks have not decided: see [resilience.Rules]. It does not
// go together with [WithHandled], which leaves nothing to ask.
func WithClassifier(c resilience.Classifier) Option {
	return func(s *settings) { s.rules.Classifier, s.noClassifier = c, c == nil }
}

// WithTelemetry changes what the fallback emits.
func WithTelemetry(opts ...telemetry.Option) Option {
	return func(s *settings) { s.telemetry = append(s.telemetry, opts...) }
}

func (s *settings) validate(name string) error {
	if err := telemetry.ValidateName(name); err != nil {
		return fmt.Errorf("fallback: %w", err)
	}
	switch {
	case s.noClassifier:
		return fmt.Errorf("fallback: %q: classifier: nil is not allowed: want a function", name)
	case s.noHandled:
		return fmt.Errorf("fallback: %q: handled: nil is not allowed: want a function", name)
	}
	if s.handled != nil && s.rules.Classifier != nil {
		return fmt.Errorf("fallback: %q: handled and classifier: %w", name, errBoth)
	}
	return nil
}

var errBoth = errors.New("both is not allowed: want one of them")
