package adaptive

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// Defaults.
const (
	DefaultMaxWait    = time.Minute     // of a RateLimiter
	DefaultWindow     = 2 * time.Minute // of a Throttle
	DefaultMultiplier = 2.0             // of a Throttle
	DefaultWeight     = 1.0 / 16        // of Delays
	DefaultMinFactor  = 0.5             // of Delays
	DefaultMaxFactor  = 4.0             // of Delays
	DefaultMaxDelay   = 2 * time.Minute // of Delays
)

// Bounds of the options.
const (
	maxMaxWait    = time.Hour
	minWindow     = time.Second
	maxWindow     = time.Hour
	minMultiplier = 1.1
	maxMultiplier = 10.0
	minWeight     = 0.001
	minFactor     = 0.01
	maxFactor     = 100.0
	maxMaxDelay   = 24 * time.Hour
)

// An Option changes a setting of a new [RateLimiter], [Throttle] or [Delays]. Those that
// are for some of them only say so, and are an error for the others.
type Option func(*settings)

// A kind is what an option may be for.
type kind uint8

const (
	rateLimiter kind = 1 << iota
	throttle
	delays
)

func (k kind) String() string {
	var names []string
	for _, of := range []struct {
		kind kind
		name string
	}{{rateLimiter, "RateLimiter"}, {throttle, "Throttle"}, {delays, "Delays"}} {
		if k&of.kind != 0 {
			names = append(names, of.name)
		}
	}
	return strings.Join(names, " or ")
}

type settings struct {
	kind       kind
	name       string
	problem    error // of an option that is not for that kind, or of nil in place of a function
	clock      clock.Clock
	telemetry  []telemetry.Option
	classifier resilience.Classifier

	throttling func(error) bool
	maxWait    time.Duration

	window     time.Duration
	multiplier float64

	weight               float64
	minFactor, maxFactor float64
	maxDelay             time.Duration
}

// WithThrottling says which errors of the operation are answers of a callee that throttles,
// in place of [resilience.Throttled]. It is for a RateLimiter. The function is called by
// several goroutines at once, once for each [resilience.CalleeError]: of a retry that gave
// up that is the last failure, and of a call that was not sent there is none.
func WithThrottling(throttled func(error) bool) Option {
	return func(s *settings) {
		s.only(rateLimiter, "WithThrottling")
		s.throttling = throttled
		s.want("throttling", throttled != nil)
	}
}

// WithMaxWait bounds how long a call waits for its turn; one that would have to wait longer
// is rejected at once. It is for a RateLimiter: 0, which rejects what cannot be sent at
// once, to 1 hour, and [DefaultMaxWait] by default.
func WithMaxWait(d time.Duration) Option {
	return func(s *settings) { s.only(rateLimiter, "WithMaxWait"); s.maxWait = d }
}

// WithWindow sets over how long a time requests and accepts are counted. It is for a
// Throttle: 1 second to 1 hour, and [DefaultWindow] by default. It must be longer than a
// call takes.
func WithWindow(d time.Duration) Option {
	return func(s *settings) { s.only(throttle, "WithWindow"); s.window = d }
}

// WithMultiplier sets K: how many requests may be made for each that is accepted. It is for
// a Throttle: 1.1 to 10, and [DefaultMultiplier] by default. [Throttle] says what K does.
func WithMultiplier(k float64) Option {
	return func(s *settings) { s.only(throttle, "WithMultiplier"); s.multiplier = k }
}

// WithClassifier asks c about errors on which no mark has decided, as [resilience.Rules]
// say. It is for a RateLimiter, which leaves out what is refused, and for a Throttle, for
// which it tells whose fault a failure is.
func WithClassifier(c resilience.Classifier) Option {
	return func(s *settings) {
		s.only(rateLimiter|throttle, "WithClassifier")
		s.classifier = c
		s.want("classifier", c != nil)
	}
}

// WithWeight sets the weight of the newest attempt in the estimate of the share that fails.
// It is for Delays: 0.001 to 1, and [DefaultWeight] by default. After a change half of it
// is seen within 0.7 / weight attempts.
func WithWeight(weight float64) Option {
	return func(s *settings) { s.only(delays, "WithWeight"); s.weight = weight }
}

// WithFactors sets the factor for when no attempt fails, 0.01 to 1, and the one for when
// all of them fail, 1 to 100. It is for Delays; [DefaultMinFactor] and [DefaultMaxFactor]
// by default.
func WithFactors(least, most float64) Option {
	return func(s *settings) { s.only(delays, "WithFactors"); s.minFactor, s.maxFactor = least, most }
}

// WithMaxDelay bounds every delay, whatever the factor. It is for Delays: 1 ns to 24 hours,
// and [DefaultMaxDelay] by default.
func WithMaxDelay(d time.Duration) Option {
	return func(s *settings) { s.only(delays, "WithMaxDelay"); s.maxDelay = d }
}

// WithTelemetry changes what is emitted. The options of several calls add up.
func WithTelemetry(opts ...telemetry.Option) Option {
	return func(s *settings) { s.telemetry = append(s.telemetry, opts...) }
}

// WithClock runs on another clock than the real one: anything with the methods of that
// interface. It is for a RateLimiter or a Throttle, and for simulators; tests are served
// better by testing/synctest. A nil clock is the real one.
func WithClock(c clock.Clock) Option {
	return func(s *settings) { s.only(rateLimiter|throttle, "WithClock"); s.clock = c }
}

// only notes an option that is given to what it is not for.
func (s *settings) only(wanted kind, option string) {
	if s.problem == nil && s.kind&wanted == 0 {
		s.problem = s.errorf("%s is not allowed for a %v: it is for a %v", option, s.kind, wanted)
	}
}

// want notes nil where a function is wanted.
func (s *settings) want(field string, ok bool) {
	if s.problem == nil && !ok {
		s.problem = s.errorf("%s: nil is not allowed: want a function", field)
	}
}

func (s *settings) errorf(format string, args ...any) error {
	return fmt.Errorf("adaptive: %q: "+format, append([]any{s.name}, args...)...)
}

// settle returns the settings for what is new, or what is wrong about them.
func settle(k kind, name string, opts []Option) (*settings, error) {
	s := &settings{
		kind: k, name: name,
		throttling: resilience.Throttled, maxWait: DefaultMaxWait,
		window: DefaultWindow, multiplier: DefaultMultiplier,
		weight: DefaultWeight, minFactor: DefaultMinFactor, maxFactor: DefaultMaxFactor, maxDelay: DefaultMaxDelay,
	}
	for _, opt := range opts {
		if opt != nil {
			opt(s)
		}
	}
	if err := telemetry.ValidateName(name); err != nil {
		return nil, fmt.Errorf("adaptive: %w", err)
	}
	return s, errors.Join(s.problem, s.validate())
}

// validate returns the first value that is not allowed.
func (s *settings) validate() error {
	switch {
	case s.maxWait < 0 || s.maxWait > maxMaxWait:
		return s.errorf("max_wait: %v is not allowed: want 0 to %v", s.maxWait, maxMaxWait)
	case s.window < minWindow || s.window > maxWindow:
		return s.errorf("window: %v is not allowed: want %v to %v", s.window, minWindow, maxWindow)
	case !within(s.multiplier, minMultiplier, maxMultiplier):
		return s.errorf("multiplier: %v is not allowed: want %v to %v", s.multiplier, minMultiplier, maxMultiplier)
	case !within(s.weight, minWeight, 1):
		return s.errorf("weight: %v is not allowed: want %v to 1", s.weight, minWeight)
	case !within(s.minFactor, minFactor, 1):
		return s.errorf("min_factor: %v is not allowed: want %v to 1", s.minFactor, minFactor)
	case !within(s.maxFactor, 1, maxFactor):
		return s.errorf("max_factor: %v is not allowed: want 1 to %v", s.maxFactor, maxFactor)
	case s.maxDelay < 1 || s.maxDelay > maxMaxDelay:
		return s.errorf("max_delay: %v is not allowed: want 1ns to %v", s.maxDelay, maxMaxDelay)
	}
	return nil
}

// within reports whether x is a number between the two.
func within(x, least, most float64) bool { return x >= least && x <= most }

// checkBackoff returns what is wrong about the backoff on which delays are based.
func (s *settings) checkBackoff(b backoff.Backoff) error {
	if b == nil {
		return s.errorf("backoff: nil is not allowed: want a backoff.Backoff")
	}
	if v, ok := b.(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			return s.errorf("%w", err)
		}
	}
	return nil
}
