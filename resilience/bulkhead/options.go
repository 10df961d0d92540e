package bulkhead

import (
	"fmt"
	"time"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// Bounds of the limit and of the options.
const (
	MaxLimit = 1_000_000 // calls under way
	MaxQueue = 1_000_000 // calls that wait
)

// An Option changes a setting of a new bulkhead.
type Option func(*settings)

type settings struct {
	queue     int
	maxWait   time.Duration
	algorithm Algorithm
	clock     clock.Clock
	telemetry []telemetry.Option
}

// WithQueue sets how many calls may wait for a slot at a time, first come, first served.
// It is 0 to [MaxQueue]. By default it is 0: a call that finds no slot is refused at once.
func WithQueue(calls int) Option {
	return func(s *settings) { s.queue = calls }
}

// WithMaxWait sets how long a call waits for a slot at most. With 0, the default, it is
// as long as its context allows. More than 0 needs a [WithQueue], as nobody waits without.
func WithMaxWait(d time.Duration) Option {
	return func(s *settings) { s.maxWait = d }
}

// WithAdaptiveLimit lets an algorithm, such as a [*Vegas] or a [*Gradient2], change the
// limit by what it learns from calls. The limit given to [New] is the one to begin with. A
// nil Algorithm, the default, leaves the limit as it is.
func WithAdaptiveLimit(a Algorithm) Option {
	return func(s *settings) { s.algorithm = a }
}

// WithTelemetry changes what the bulkhead emits. Several of these options add up.
func WithTelemetry(opts ...telemetry.Option) Option {
	return func(s *settings) { s.telemetry = append(s.telemetry, opts...) }
}

// WithClock runs the bulkhead on another clock than the real one: anything with the
// methods of that interface. It is for simulators; tests are served better by
// testing/synctest. A nil clock is the real one.
func WithClock(c clock.Clock) Option {
	return func(s *settings) { s.clock = c }
}

func (s *settings) validate(name string, limit int) error {
	if err := telemetry.ValidateName(name); err != nil {
		return fmt.Errorf("bulkhead: %w", err)
	}
	err := validateLimit(limit)
	switch {
	case err != nil:
	case s.queue < 0 || s.queue > MaxQueue:
		err = fmt.Errorf("queue: %d is not allowed: want 0 to %d", s.queue, MaxQueue)
	case s.maxWait < 0:
		err = fmt.Errorf("max_wait: %v is not allowed: want 0, for no bound but the context, or more", s.maxWait)
	case s.maxWait > 0 && s.queue == 0:
		err = fmt.Errorf("max_wait: %v is not allowed: want 0, or a queue of 1 to %d, as nobody waits without one", s.maxWait, MaxQueue)
	default:
		if own, ok := s.algorithm.(ownAlgorithm); ok {
			err = own.validate(limit)
		}
	}
	if err != nil {
		return fmt.Errorf("bulkhead: %q: %w", name, err)
	}
	return nil
}

func validateLimit(limit int) error {
	if limit < 1 || limit > MaxLimit {
		return fmt.Errorf("limit: %d is not allowed: want 1 to %d", limit, MaxLimit)
	}
	return nil
}
