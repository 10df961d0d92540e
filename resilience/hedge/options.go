package hedge

import (
	"errors"
	"fmt"
	"time"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// Defaults of a new hedge.
const (
	DefaultMaxCopies = 2
	DefaultShare     = 0.05 // of the calls
	DefaultLowest    = time.Millisecond
	DefaultHighest   = time.Minute
)

// Bounds of the options.
const (
	MaxCopies = 10
	MinShare  = 0.001
	MaxShare  = 0.5
	MinDelay  = time.Microsecond
	MaxDelay  = time.Hour
)

// An Option changes a setting of a new hedge.
type Option func(*settings)

type settings struct {
	copies   int
	fixed    bool
	delay    time.Duration // if fixed
	share    float64
	lo, hi   time.Duration
	budget   resilience.Budget
	deposits bool
	rules    resilience.Rules
	problem  error // of an option that was given nil
	clock    clock.Clock

	telemetry []telemetry.Option
}

// WithMaxCopies sets how many copies of an operation a call may start, the first included:
// 2 to [MaxCopies], 2 by default. Each starts a delay after the one before. With an adaptive
// delay all of them but the first count towards the share.
func WithMaxCopies(copies int) Option {
	return func(s *settings) { s.copies = copies }
}

// WithDelay sets a fixed delay before each further copy: [MinDelay] to [MaxDelay]. What is
// slower than that is hedged, which may be every call if the callee becomes slow: give the
// hedge a budget then. Of WithDelay and [WithAdaptiveDelay] the one that comes last holds.
func WithDelay(d time.Duration) Option {
	return func(s *settings) { s.fixed, s.delay = true, d }
}

// WithAdaptiveDelay lets the delay follow the callee's latency, so that the given share of
// the calls is hedged: [MinShare] to [MaxShare] of them. The delay stays from lo to hi,
// which are [MinDelay] to [MaxDelay]. The default is WithAdaptiveDelay(0.05,
// time.Millisecond, time.Minute).
//
// Whatever the latencies are, and however many calls run at once, any n calls in a row start
// at most
//
//	share*n + 60
//
// further copies. A copy that is due beyond that is denied, as by a budget. This is what
// bounds the load when the callee becomes slower for many calls at once: the delay follows
// only when the first of them is late.
func WithAdaptiveDelay(share float64, lo, hi time.Duration) Option {
	return func(s *settings) { s.fixed, s.share, s.lo, s.hi = false, share, lo, hi }
}

// WithBudget lets b decide on each copy beyond the first. A copy that is denied is not
// started, and those that run go on. The hedge deposits for each call, unless the call is
// a repetition. A nil b allows no further copies.
//
// If b is also the budget of the retry that stands around, use [WithSharedBudget]: the
// retry deposits already.
func WithBudget(b resilience.Budget) Option {
	return func(s *settings) { s.budget, s.deposits = orNothing(b), true }
}

// WithSharedBudget is [WithBudget] with a budget into which somebody else deposits: the
// retry that stands around. The hedge withdraws only.
func WithSharedBudget(b resilience.Budget) Option {
	return func(s *settings) { s.budget, s.deposits = orNothing(b), false }
}

func orNothing(b resilience.Budget) resilience.Budget {
	if b == nil {
		return nothing{}
	}
	return b
}

// nothing is the budget that a nil Budget stands for.
type nothing struct{}

func (nothing) Deposit()       {}
func (nothing) Withdraw() bool { return false }
func (nothing) Refund()        {}

// WithClassifier asks c which failures are permanent: these end a call at once, as a
// success does. It is asked where an error's marks have not decided: see
// [resilience.Rules].
func WithClassifier(c resilience.Classifier) Option {
	return func(s *settings) {
		if s.rules.Classifier = c; c == nil {
			s.problem = errNoClassifier
		}
	}
}

// WithTelemetry changes what the hedge emits.
func WithTelemetry(opts ...telemetry.Option) Option {
	return func(s *settings) { s.telemetry = append(s.telemetry, opts...) }
}

// WithClock runs the hedge on another clock than the real one: anything with the methods of
// that interface. It is for simulators; tests are served better by testing/synctest. A nil
// clock is the real one.
func WithClock(c clock.Clock) Option {
	return func(s *settings) { s.clock = c }
}

func (s *settings) validate(name string) error {
	if err := telemetry.ValidateName(name); err != nil {
		return fmt.Errorf("hedge: %w", err)
	}
	switch {
	case s.problem != nil:
		return fmt.Errorf("hedge: %q: %w", name, s.problem)
	case s.copies < 2 || s.copies > MaxCopies:
		return fmt.Errorf("hedge: %q: max_copies: %d is not allowed: want 2 to %d", name, s.copies, MaxCopies)
	case s.fixed && outside(s.delay):
		return fmt.Errorf("hedge: %q: delay: %v is not allowed: want %v to %v", name, s.delay, MinDelay, MaxDelay)
	case s.fixed:
	case !(s.share >= MinShare && s.share <= MaxShare):
		return fmt.Errorf("hedge: %q: share: %v is not allowed: want %v to %v of the calls", name, s.share, MinShare, MaxShare)
	case outside(s.lo):
		return fmt.Errorf("hedge: %q: lowest_delay: %v is not allowed: want %v to %v", name, s.lo, MinDelay, MaxDelay)
	case outside(s.hi) || s.hi <= s.lo:
		return fmt.Errorf("hedge: %q: highest_delay: %v is not allowed: want more than the lowest, %v, up to %v", name, s.hi, s.lo, MaxDelay)
	}
	return nil
}

var errNoClassifier = errors.New("classifier: nil is not allowed: want a function")

func outside(d time.Duration) bool { return d < MinDelay || d > MaxDelay }
