package fallback

import (
	"context"
	"errors"
	"fmt"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// A Fallback replaces failures of operations by the result of an alternative. Make one for
// each operation and share it: it keeps nothing of a call, and is safe for use by several
// goroutines at once.
//
// A Fallback is made by [New]. The zero value does what one without options does, and has no
// name and no telemetry. A nil *Fallback runs an operation once and hands on what comes of it.
//
// It is no [resilience.Policy], as an alternative has a value: use [DoValue], [Wrap] or
// [Wrap1].
type Fallback struct {
	name    string
	handled func(error) bool // or nil
	rules   resilience.Rules
	tel     *telemetry.Guard
}

// New returns a fallback. The name identifies it in telemetry. Without options it replaces
// every failure but permanent ones.
func New(name string, opts ...Option) (*Fallback, error) {
	var s settings
	for _, opt := range opts {
		if opt != nil {
			opt(&s)
		}
	}
	if err := s.validate(name); err != nil {
		return nil, err
	}
	tel, err := telemetry.NewFallback(name, s.telemetry...)
	if err != nil {
		return nil, fmt.Errorf("fallback: %q: %w", name, err)
	}
	return &Fallback{name: name, handled: s.handled, rules: s.rules, tel: tel}, nil
}

// MustNew is [New] for package variables: it panics where New returns an error.
func MustNew(name string, opts ...Option) *Fallback {
	f, err := New(name, opts...)
	if err != nil {
		panic(err)
	}
	return f
}

// Name returns the name under which telemetry shows the fallback.
func (f *Fallback) Name() string {
	if f == nil {
		return ""
	}
	return f.name
}

// handles reports whether the alternative is to replace err.
func (f *Fallback) handles(ctx context.Context, err error) bool {
	switch {
	case canceled(ctx):
		return false
	case f.handled != nil:
		return f.handled(err)
	}
	return f.rules.Classify(err) != resilience.ClassPermanent
}

// canceled reports whether the caller has cancelled: nobody waits for an answer any more.
func canceled(ctx context.Context) bool { return errors.Is(ctx.Err(), context.Canceled) }
