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
	telemetry []telemetry.Option
}

// WithHandled lets handled decide which failures the alternative replaces, in place of their
// class. It must be safe for use by several goroutines at once. A caller that has cancelled
// gets its failure all the same. A nil handled is the default: all but those of
// [resilience.ClassPermanent].
func WithHandled(handled func(err error) bool) Option {
	return func(s *settings) { s.handled = handled }
}

// WithClassifier asks c which failures are permanent and so not replaced. It is asked where
// an error's marks have not decided: see [resilience.Rules]. A nil c asks nobody. It does
// not go together with [WithHandled], which leaves nothing to ask.
func WithClassifier(c resilience.Classifier) Option {
	return func(s *settings) { s.rules.Classifier = c }
}

// WithTelemetry changes what the fallback emits.
func WithTelemetry(opts ...telemetry.Option) Option {
	return func(s *settings) { s.telemetry = append(s.telemetry, opts...) }
}

func (s *settings) validate(name string) error {
	if err := telemetry.ValidateName(name); err != nil {
		return fmt.Errorf("fallback: %w", err)
	}
	if s.handled != nil && s.rules.Classifier != nil {
		return fmt.Errorf("fallback: %q: handled and classifier: %w", name, errBoth)
	}
	return nil
}

var errBoth = errors.New("both is not allowed: want one of them")
