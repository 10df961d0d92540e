package adaptive

import (
	"container/list"
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// A RateLimiter finds out at which rate a callee that throttles can be called, and holds
// the calls back to it. It is the client-side rate limiter of the AWS SDKs' retry mode
// "adaptive": a token bucket whose rate follows CUBIC, the congestion control of TCP.
//
// Until the callee throttles for the first time it only measures the rate of the calls that
// return. With the first answer that [resilience.Throttled] recognizes, or what
// [WithThrottling] names, it begins to limit, and never stops: when nobody throttles, its rate runs ahead of
// the one that is measured. Each call then takes one token, and waits in a queue, first
// come first served, until there is one. A call whose turn would come after the deadline of
// its context, or later than [WithMaxWait], is rejected at once with a [*RateError].
//
// With rates in calls a second and times in seconds:
//
//	on a throttling answer:  lastMax = measured, or min(measured, rate) if it limits already
//	                         rate    = 0.7 * lastMax
//	on any other answer:     rate    = 0.4 * (t - K)^3 + lastMax
//	                         K       = cbrt(lastMax * (1 - 0.7) / 0.4)
//	always:                  rate    = max(min(rate, 2 * measured), 0.5)
//	capacity of the bucket:  max(min(rate, 2 * measured), 1)
//	every half second:       measured = 0.8 * calls/seconds + 0.2 * measured
//
// where t is the time since the last throttling answer. Sources: AWS SDKs and Tools
// Reference Guide, "Retry behavior"; botocore, retries/adaptive.py, bucket.py and
// throttling.py; aws-sdk-go-v2, aws/retry/adaptive_ratelimit.go. It gives the numbers of
// their tests.
//
// It departs from them in one thing: of the calls that were sent before the last throttling
// answer, those that are throttled too change nothing more. They say the same of the same
// rate; if each of them cut it, one round trip to a slow callee would bring it to the least.
//
// It is meant to stand inside of a retry, where it sees each attempt, and to be shared by
// all that share what the callee limits, such as an account or a table. A retry that gave up
// counts by its last failure. What another policy refused, or else did not reach the callee,
// is not counted. An operation that panics is not counted either; it holds nothing that would
// have to be given back.
//
// A RateLimiter is made by [NewRateLimiter]. It is safe for use by several goroutines at
// once. No lock is held while a call waits or runs. A nil *RateLimiter runs the operation
// once, unguarded.
type RateLimiter struct {
	name       string
	rules      resilience.Rules
	throttling func(error) bool
	maxWait    time.Duration
	clock      clock.Clock
	epoch      time.Time
	tel        *telemetry.Guard

	_ [64]byte // what follows is written to, what stands above is not

	// While nothing is limited these are all that a call touches: it adds itself to calls,
	// and one call in half a second tries the lock.
	limited     atomic.Bool
	measurement atomic.Int64 // that of state
	calls       atomic.Int64 // that returned in this measurement

	mu    sync.Mutex
	state cubic
	queue list.List // of *waiter; the first of them waits for a token, the others for their turn
}

var _ resilience.Part = (*RateLimiter)(nil)

// NewRateLimiter returns a limiter that does not limit yet. In a test under
// testing/synctest it is to be made inside the bubble, whose clock is another. The name
// identifies it in telemetry.
func NewRateLimiter(name string, opts ...Option) (*RateLimiter, error) {
	s, err := settle(rateLimiter, name, opts)
	if err != nil {
		return nil, err
	}
	l := &RateLimiter{
		name:       name,
		rules:      resilience.Rules{Classifier: s.classifier},
		throttling: s.throttling,
		maxWait:    s.maxWait,
		clock:      s.clock,
		epoch:      clock.Now(s.clock),
	}
	l.tel, err = telemetry.NewAdaptive(name, l.level, s.telemetry...)
	if err != nil {
		return nil, fmt.Errorf("adaptive: %q: %w", name, err)
	}
	return l, nil
}

// MustNewRateLimiter is [NewRateLimiter] for package variables: it panics where that
// returns an error.
func MustNewRateLimiter(name string, opts ...Option) *RateLimiter {
	l, err := NewRateLimiter(name, opts...)
	if err != nil {
		panic(err)
	}
	return l
}

// Do implements [resilience.Policy]: it calls op once, after a wait if need be, or returns
// a [*RateError]. If ctx ends before, op is not called, and the error wraps that of ctx and
// its cause. Use [DoValue] for operations with a value.
func (l *RateLimiter) Do(ctx context.Context, op resilience.Operation) error {
	if op == nil {
		return errNoOperation
	}
	_, err := doLimited(ctx, l, func(ctx context.Context) (struct{}, error) { return struct{}{}, op(ctx) })
	return err
}

func doLimited[T any](ctx context.Context, l *RateLimiter, op func(context.Context) (T, error)) (value T, err error) {
	if l == nil || ctx == nil || op == nil {
		return once(ctx, l != nil, op)
	}
	sent, err := l.acquire(ctx)
	if err != nil {
		return value, err
	}
	value, err = op(ctx)
	l.observe(err, sent)
	return value, err
}

// observe learns from a call that has returned with err. It was sent at the time sent.
func (l *RateLimiter) observe(err error, sent time.Duration) {
	throttled := false
	if err != nil {
		failure, asked := resilience.CalleeError(err)
		if !asked || l.rules.Classify(failure) == resilience.ClassRefused {
			return
		}
		throttled = l.throttling(failure)
	}
	l.calls.Add(1)
	now := l.now()
	if !throttled && !l.limited.Load() {
		// The first goroutine that gets here closes the measurement, and nobody waits for
		// it.
		if measurementOf(now) > l.measurement.Load() && l.mu.TryLock() {
			l.measure(now)
			l.mu.Unlock()
		}
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.measure(now)
	switch {
	case !throttled:
		l.state.succeeded(now)
	case !l.state.limited || sent >= l.state.lastThrottle:
		l.state.throttled(now)
		l.limited.Store(true)
		l.dismiss(now)
	}
}

// measure closes the measurement if it is over. The lock must be held.
func (l *RateLimiter) measure(now time.Duration) {
	calls := l.calls.Load()
	if l.state.measure(now, calls) {
		l.calls.Add(-calls)
		l.measurement.Store(l.state.measurement)
	}
}

// now returns the time since the epoch.
func (l *RateLimiter) now() time.Duration { return clock.Since(l.clock, l.epoch) }

// Rate returns how many calls a second are allowed now: positive infinity while l does not
// limit.
func (l *RateLimiter) Rate() float64 {
	if level := l.level(); level.Limited {
		return level.Rate
	}
	return math.Inf(1)
}

// Measured returns how many calls a second came back lately: 0 before the first measurement
// is over. It is that of then for as long as no call comes back.
func (l *RateLimiter) Measured() float64 { return l.level().Measured }

// Name returns the name under which telemetry shows the limiter.
func (l *RateLimiter) Name() string {
	if l == nil {
		return ""
	}
	return l.name
}

func (l *RateLimiter) level() telemetry.AdaptiveLevel {
	if l == nil {
		return telemetry.AdaptiveLevel{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return telemetry.AdaptiveLevel{Limited: l.state.limited, Rate: l.state.rate, Measured: l.state.measured}
}

// Describe implements [resilience.Part].
func (l *RateLimiter) Describe() resilience.Description {
	return resilience.Description{Kind: "adaptive", Name: l.Name()}
}

// Warn implements [resilience.Part].
func (l *RateLimiter) Warn(ctx context.Context, p resilience.Problem) {
	if l != nil {
		l.tel.Warn(ctx, p.Reason, p.Detail)
	}
}
