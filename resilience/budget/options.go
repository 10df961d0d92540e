package budget

import (
	"errors"
	"fmt"
	"math"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// Defaults of a new budget.
const (
	DefaultRatio = 0.1 // retries a call
	DefaultFloor = 1.0 // retries a second
	DefaultBurst = 100 // retries
)

// Bounds of the options.
const (
	MaxFloor = 1e4 // retries a second
	MaxBurst = 1e9 // retries
)

// An Option changes a setting of a new budget.
type Option func(*settings)

type settings struct {
	ratio     float64
	floor     float64
	burst     int
	clock     clock.Clock
	telemetry []telemetry.Option
}

// WithRatio sets how many retries each call allows: 0.1, the default, is one retry
// for ten calls. It is 0 to 1, in steps of a millionth.
func WithRatio(retriesPerCall float64) Option {
	return func(s *settings) { s.ratio = retriesPerCall }
}

// WithFloor sets how many retries each second allows whatever the calls, so that a
// service of few calls can retry at all. It is 0 to [MaxFloor], 1 by default, in
// steps of a millionth.
func WithFloor(retriesPerSecond float64) Option {
	return func(s *settings) { s.floor = retriesPerSecond }
}

// WithBurst sets how many retries a full budget holds: how many may be sent at once
// after a quiet time. It is 1 to [MaxBurst], 100 by default.
func WithBurst(retries int) Option {
	return func(s *settings) { s.burst = retries }
}

// WithTelemetry changes what the budget emits.
func WithTelemetry(opts ...telemetry.Option) Option {
	return func(s *settings) { s.telemetry = append(s.telemetry, opts...) }
}

// WithClock runs the budget on another clock than the real one. It is for the simulators of
// this project: no other package can implement the interface. Tests are served better by
// testing/synctest. A nil clock is the real one.
func WithClock(c clock.Clock) Option {
	return func(s *settings) { s.clock = c }
}

func (s *settings) validate(name string) error {
	if err := telemetry.ValidateName(name); err != nil {
		return fmt.Errorf("budget: %w", err)
	}
	switch {
	case !(s.ratio >= 0 && s.ratio <= 1) || tooFine(s.ratio):
		return fmt.Errorf("budget: %q: ratio: %v is not allowed: want 0, or 0.000001 to 1 retries a call", name, s.ratio)
	case !(s.floor >= 0 && s.floor <= MaxFloor) || tooFine(s.floor):
		return fmt.Errorf("budget: %q: floor: %v is not allowed: want 0, or 0.000001 to %v retries a second", name, s.floor, float64(MaxFloor))
	case s.burst < 1 || s.burst > MaxBurst:
		return fmt.Errorf("budget: %q: burst: %d is not allowed: want 1 to %d retries", name, s.burst, int(MaxBurst))
	case s.ratio == 0 && s.floor == 0:
		return fmt.Errorf("budget: %q: ratio and floor: %w", name, errNeverFills)
	}
	return nil
}

var errNeverFills = errors.New("0 for both is not allowed: the budget would never refill")

// tooFine reports whether x is positive but below the resolution of a budget.
func tooFine(x float64) bool { return x > 0 && math.Round(x*token) == 0 }
