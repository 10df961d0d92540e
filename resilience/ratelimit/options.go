package ratelimit

import (
	"fmt"
	"time"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// Bounds of the rate and of the burst.
const (
	MinRate  = 1e-6 // calls a second: one in 11.6 days
	MaxRate  = 1e6  // calls a second
	MaxBurst = 1_000_000
)

// Bounds within which no sum of times overflows 63 bits.
const (
	// maxRefill is how long an empty limit may take to be full again: 31 years.
	maxRefill time.Duration = 1e18
	// farthest is the longest wait, and how long a limit lasts: 73 years.
	farthest time.Duration = 1 << 61
)

// An Option changes a setting of a new limiter.
type Option func(*settings)

type settings struct {
	burst     int
	maxWait   time.Duration
	clock     clock.Clock
	telemetry []telemetry.Option
}

// WithBurst sets how many calls may be sent at once after a quiet time. It is 1 to
// [MaxBurst], and no more than the rate gives in 1e9 seconds. By default it is 1: calls
// are spaced evenly, which no callee takes amiss, but two that come at the same time do
// not both pass. Calls that come at random want a burst, or [WithMaxWait], or both.
func WithBurst(calls int) Option {
	return func(s *settings) { s.burst = calls }
}

// WithMaxWait sets how long a call may wait for its turn. By default it is 0: a call that
// is too early is refused at once.
func WithMaxWait(d time.Duration) Option {
	return func(s *settings) { s.maxWait = d }
}

// WithTelemetry changes what the limiter emits. Several of these options add up.
func WithTelemetry(opts ...telemetry.Option) Option {
	return func(s *settings) { s.telemetry = append(s.telemetry, opts...) }
}

// WithClock runs the limiter on another clock than the real one: anything with the
// methods of that interface. It is for simulators; tests are served better by
// testing/synctest. A nil clock is the real one.
func WithClock(c clock.Clock) Option {
	return func(s *settings) { s.clock = c }
}

func (s *settings) validate(name string, rate float64) error {
	if err := telemetry.ValidateName(name); err != nil {
		return fmt.Errorf("ratelimit: %w", err)
	}
	if s.maxWait < 0 {
		return fmt.Errorf("ratelimit: %q: max_wait: %v is not allowed: want 0s, to refuse at once, or more", name, s.maxWait)
	}
	return validateRate(name, rate, s.burst)
}

// validateRate checks a rate together with the burst.
func validateRate(name string, rate float64, burst int) error {
	if !(rate >= MinRate && rate <= MaxRate) {
		return fmt.Errorf("ratelimit: %q: rate: %v is not allowed: want 0.000001 to 1000000 calls a second", name, rate)
	}
	if most := int(min(MaxBurst, maxRefill/intervalOf(rate))); burst < 1 || burst > most {
		return fmt.Errorf("ratelimit: %q: burst: %d is not allowed: want 1 to %d at %v calls a second", name, burst, most, rate)
	}
	return nil
}
