package breaker

import (
	"fmt"
	"time"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// Defaults of a new breaker.
const (
	DefaultFailureRatio = 0.5              // if no condition is set
	DefaultMinCalls     = 20               // calls
	DefaultTimeWindow   = 30 * time.Second // if no window is set
	DefaultOpenTime     = 5 * time.Second
	DefaultProbes       = 3 // calls
	DefaultProbeTimeout = time.Minute
)

// Bounds of the options.
const (
	MaxCalls      = 1_000_000 // of a window, in a row, or at least
	MaxProbes     = 10_000
	MinTimeWindow = 10 * time.Millisecond
)

// An Option changes a setting of a new breaker.
type Option func(*settings)

type settings struct {
	failureRatio  float64 // 0: not asked for, as below
	slowRatio     float64
	slowThreshold time.Duration
	consecutive   int
	conditions    bool // one was set
	minCalls      int  // 0: not set
	countWindow   int
	timeWindow    time.Duration
	openBackoff   backoff.Backoff
	openTime      time.Duration
	probes        int
	probeTimeout  time.Duration
	rules         resilience.Rules
	ignored       []resilience.Matcher
	onChange      func(Change)
	clock         clock.Clock
	telemetry     []telemetry.Option
	err           error // of an option that cannot be told by its value later
}

// WithFailureRatio opens the breaker when this share of the calls in its window failed: more
// than 0, up to 1. Like the ratio of slow calls it is looked at from [WithMinCalls] on.
//
// Conditions add up. This one and [WithConsecutiveFailures] replace the default one, which
// is a failure ratio of 0.5.
func WithFailureRatio(ratio float64) Option {
	return func(s *settings) {
		s.failureRatio, s.conditions = ratio, true
		s.ratio("failure_ratio", ratio)
	}
}

// WithSlowRatio opens the breaker when this share of the calls in its window, more than 0
// and up to 1, took threshold or longer. A slow probe is a probe that failed. Failures are
// still looked at.
func WithSlowRatio(ratio float64, threshold time.Duration) Option {
	return func(s *settings) {
		s.slowRatio, s.slowThreshold = ratio, threshold
		s.ratio("slow_ratio", ratio)
		s.reject(threshold <= 0, "slow_threshold", threshold, "more than 0s")
	}
}

// WithConsecutiveFailures opens the breaker when that many calls in a row failed: 1 to
// [MaxCalls]. It does not look at the window, nor at [WithMinCalls].
func WithConsecutiveFailures(n int) Option {
	return func(s *settings) {
		s.consecutive, s.conditions = n, true
		s.calls("consecutive_failures", n)
	}
}

// WithMinCalls sets how many calls the window must hold before a ratio of them means
// anything: 1 to [MaxCalls]; 20 by default, or as many as a count window holds if that is
// less.
func WithMinCalls(n int) Option {
	return func(s *settings) { s.minCalls = n; s.calls("min_calls", n) }
}

// WithTimeWindow looks at the calls of the last span of time: at least [MinTimeWindow], 30
// seconds by default. It forgets in steps of a tenth.
func WithTimeWindow(span time.Duration) Option {
	return func(s *settings) {
		s.timeWindow, s.countWindow = span, 0
		s.reject(span < MinTimeWindow, "time_window", span, "at least "+MinTimeWindow.String())
	}
}

// WithCountWindow looks at the last n calls, however long ago they were: 1 to [MaxCalls].
// The breaker reads no clock while it is closed then, unless slow calls are to be told.
func WithCountWindow(n int) Option {
	return func(s *settings) { s.countWindow = n; s.calls("count_window", n) }
}

// WithOpenTime sets how long the breaker stays open before it lets probes pass: more than
// 0; 5 seconds by default.
func WithOpenTime(d time.Duration) Option {
	return func(s *settings) {
		s.openTime, s.openBackoff = d, nil
		s.reject(d <= 0, "open_time", d, "more than 0s")
	}
}

// WithOpenBackoff takes the open time from b, whose n counts from 0 how many times in a row
// the probes have failed: [backoff.Exponential] leaves a callee that stays down alone for
// longer and longer, and its jitter keeps the probes of many replicas apart. An open time of
// 0 or less counts as a nanosecond.
func WithOpenBackoff(b backoff.Backoff) Option {
	return func(s *settings) {
		s.openBackoff = b
		s.reject(b == nil, "open_backoff", b, "a backoff.Backoff")
		if v, ok := b.(interface{ Validate() error }); ok && s.err == nil {
			s.err = v.Validate()
		}
	}
}

// WithProbes sets how many calls a half-open breaker lets pass, all of which must succeed
// for it to close: 1 to [MaxProbes], 3 by default.
func WithProbes(n int) Option {
	return func(s *settings) {
		s.probes = n
		s.reject(n < 1 || n > MaxProbes, "probes", n, fmt.Sprintf("1 to %d", MaxProbes))
	}
}

// WithProbeTimeout sets how long after its last probe began a half-open breaker waits for
// the results: at least 0; a minute by default. Then it opens again, so that calls that
// hang do not keep it half-open. 0 is no bound.
func WithProbeTimeout(d time.Duration) Option {
	return func(s *settings) {
		s.probeTimeout = d
		s.reject(d < 0, "probe_timeout", d, "at least 0s; 0s is no bound")
	}
}

// WithClassifier asks c about errors that carry no mark, before the errors' own word. To
// share the opinion of a retry policy give it the policy's Classify.
func WithClassifier(c resilience.Classifier) Option {
	return func(s *settings) {
		s.rules.Classifier = c
		s.reject(c == nil, "classifier", "nil", "a function")
	}
}

// WithUnknown sets what errors count as that nobody classified: as failures if class is
// resilience.ClassRetryable, which is the default, as successes if it is
// resilience.ClassPermanent, and as neither if it is resilience.ClassRefused.
func WithUnknown(class resilience.Class) Option {
	return func(s *settings) {
		s.rules.Unknown = class
		s.reject(class < resilience.ClassRetryable || class > resilience.ClassRefused, "unknown", class, "retryable, permanent or refused")
	}
}

// WithIgnored takes errors that one of match matches for neither a success nor a failure.
// See [resilience.MatchIs] and [resilience.MatchAs].
func WithIgnored(match ...resilience.Matcher) Option {
	return func(s *settings) {
		for _, m := range match {
			s.reject(m == nil, "ignored", "nil", "a function")
		}
		s.ignored = append(s.ignored, match...)
	}
}

// WithOnStateChange calls f after each change of the state: one call at a time, in the order
// of the changes, under no lock, by a goroutine of one of the calls. f may call the breaker.
// It should return soon, as that call waits for it.
func WithOnStateChange(f func(Change)) Option {
	return func(s *settings) {
		s.onChange = f
		s.reject(f == nil, "on_state_change", "nil", "a function")
	}
}

// WithTelemetry changes what the breaker emits.
func WithTelemetry(opts ...telemetry.Option) Option {
	return func(s *settings) { s.telemetry = append(s.telemetry, opts...) }
}

// WithClock runs the breaker on another clock than the real one. It is for simulators;
// tests are served better by testing/synctest. A nil clock is the real one.
func WithClock(c clock.Clock) Option {
	return func(s *settings) { s.clock = c }
}

func (s *settings) ratio(field string, ratio float64) {
	s.reject(!(ratio > 0 && ratio <= 1), field, ratio, "more than 0, up to 1")
}

func (s *settings) calls(field string, n int) {
	s.reject(n < 1 || n > MaxCalls, field, n, fmt.Sprintf("1 to %d", MaxCalls))
}

// reject notes the first value that is not allowed.
func (s *settings) reject(bad bool, field string, value any, want string) {
	if bad && s.err == nil {
		s.err = fmt.Errorf("%s: %v is not allowed: want %s", field, value, want)
	}
}

// complete fills in the defaults and returns what is not allowed.
func (s *settings) complete() error {
	if !s.conditions {
		s.failureRatio = DefaultFailureRatio
	}
	if s.minCalls == 0 {
		s.minCalls = DefaultMinCalls
		if s.countWindow > 0 {
			s.minCalls = min(s.minCalls, s.countWindow)
		}
	}
	if s.openBackoff == nil {
		s.openBackoff = backoff.Constant{Interval: s.openTime, Jitter: backoff.NoJitter}
	}
	s.reject(s.countWindow > 0 && s.minCalls > s.countWindow && s.failureRatio+s.slowRatio > 0, "min_calls", s.minCalls,
		fmt.Sprintf("at most the %d calls of the count window", s.countWindow))
	return s.err
}
