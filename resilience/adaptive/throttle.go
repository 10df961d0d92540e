package adaptive

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/internal/ctxerr"
	"github.com/observable-go/toolkit/internal/window"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// windowBuckets is in how many steps a window forgets. Each costs a few nanoseconds of
// every call in times of trouble.
const windowBuckets = 24

// A Throttle rejects calls in this process while the callee accepts too few of them, so
// that an overloaded callee need not spend its time on saying no. It is the client-side
// adaptive throttling of Google's "Site Reliability Engineering" (O'Reilly 2016, chapter
// 21, "Handling Overload"). Over the last two minutes it counts
//
//	requests: the calls that came to the throttle, also those that it rejected
//	accepts:  those that the callee accepted
//
// and rejects the next call with the probability
//
//	max(0, (requests - K * accepts) / (requests + 1))
//
// where K is 2, or that of [WithMultiplier]. As long as the callee accepts more than 1/K of
// the calls nothing is rejected here. Beyond that calls are rejected until about K times as
// many are sent as accepted; of those the callee has to turn down K - 1 for each one
// accepted. A lower K spares the callee more, a higher one notices sooner that it is well
// again. K of 1 or less would count any single failure against all calls to come, and
// nothing would make the rate grow again; so K is at least 1.1, which bears with one failure
// in eleven. At 10, the most, the callee is left to itself until it fails nine of ten.
//
// When nothing is accepted any more about one call in a window is still sent, at random,
// and what comes of these shows when the callee is well again. The rate then grows by e^x in
// each window, where x = K * (1 - e^-x), which is 1.59 if K is 2. A shorter window recovers
// sooner.
//
// A success and a [resilience.ClassPermanent] error are accepts: the callee has answered.
// An error of any other class is a request that was not accepted. A retry that gave up counts
// by its last failure. What another policy refused or else did not reach the callee, what the
// caller cancelled, and an operation that panicked are neither. A call is counted when it
// returns, so that calls under way are not taken for failures.
//
// It suits callees that get many calls. Of few it judges rashly: if the first of all calls
// fails, the second one is rejected with a probability of 1/2.
//
// A Throttle is made by [NewThrottle]. It takes no lock and is safe for use by several
// goroutines at once. A nil *Throttle runs the operation once, unguarded.
type Throttle struct {
	name       string
	multiplier float64
	span       time.Duration
	rules      resilience.Rules
	clock      clock.Clock
	epoch      time.Time
	tel        *telemetry.Guard

	counts *window.Time // Calls are requests, Failures those of them that were not accepted

	_ [64]byte // what follows is written to, what stands above is not

	// troubledUntil is the time since the epoch until which the window may hold a request
	// that was not accepted, or 0 if it holds none, so that an untroubled call sums up
	// nothing.
	troubledUntil atomic.Int64
}

var _ resilience.Part = (*Throttle)(nil)

// NewThrottle returns a throttle that has seen no calls. In a test under testing/synctest
// it is to be made inside the bubble, whose clock is another. The name identifies it in
// telemetry.
func NewThrottle(name string, opts ...Option) (*Throttle, error) {
	s, err := settle(throttle, name, opts)
	if err != nil {
		return nil, err
	}
	t := &Throttle{
		name:       name,
		multiplier: s.multiplier,
		span:       s.window,
		rules:      resilience.Rules{Classifier: s.classifier},
		clock:      s.clock,
		epoch:      clock.Now(s.clock),
		counts:     window.NewTime(s.window, windowBuckets),
	}
	t.tel, err = telemetry.NewThrottle(name, t.Probability, s.telemetry...)
	if err != nil {
		return nil, fmt.Errorf("adaptive: %q: %w", name, err)
	}
	return t, nil
}

// MustNewThrottle is [NewThrottle] for package variables: it panics where that returns an
// error.
func MustNewThrottle(name string, opts ...Option) *Throttle {
	t, err := NewThrottle(name, opts...)
	if err != nil {
		panic(err)
	}
	return t
}

// Do implements [resilience.Policy]: it calls op once, or returns a [*ThrottleError]. If
// ctx has ended before, op is not called, and the error wraps that of ctx and its cause.
// Use [DoValue] for operations with a value.
func (t *Throttle) Do(ctx context.Context, op resilience.Operation) error {
	if op == nil {
		return errNoOperation
	}
	_, err := doThrottled(ctx, t, func(ctx context.Context) (struct{}, error) { return struct{}{}, op(ctx) })
	return err
}

func doThrottled[T any](ctx context.Context, t *Throttle, op func(context.Context) (T, error)) (value T, err error) {
	if t == nil || ctx == nil || op == nil {
		return once(ctx, t != nil, op)
	}
	permit, err := t.Allow(ctx)
	if err != nil {
		return value, err
	}
	value, err = op(ctx)
	permit.Done(err)
	return value, err
}

// A Permit is a call that a throttle let pass. Done is to be called when the call has
// ended; what comes after that does nothing. A Permit whose Done is never called leaves
// nothing behind.
type Permit struct {
	throttle *Throttle // nil: nothing is to be noted
	ctx      context.Context
}

// Allow asks whether a call may pass: it returns a Permit, or a [*ThrottleError]. It is for
// calls that are no function, such as streams; all others have [DoValue]. A nil t lets
// everything pass.
//
//	permit, err := t.Allow(ctx)
//	if err != nil {
//		return err
//	}
//	err = call(ctx)
//	permit.Done(err)
func (t *Throttle) Allow(ctx context.Context) (Permit, error) {
	switch {
	case t == nil:
		return Permit{}, nil
	case ctx == nil:
		return Permit{}, errNoContext
	case ctx.Err() != nil:
		return Permit{}, ctxerr.NotSent(ctx, t.name, "before the call")
	}
	if t.troubledUntil.Load() != 0 {
		now := t.now()
		if p := t.probability(now); p > 0 && clock.Random(t.clock) < p {
			t.counts.Add(now, window.Counts{Calls: 1, Failures: 1})
			t.trouble(now)
			t.tel.Rejected(ctx, telemetry.Rejection{Reason: reasonThrottled})
			return Permit{}, &ThrottleError{Name: t.name, Probability: p}
		}
	}
	t.tel.Count(telemetry.ResultAdmitted)
	return Permit{t, ctx}, nil
}

// isCanceled is for errors from anywhere.
var isCanceled = resilience.MatchIs(context.Canceled)

// reasonThrottled is why a throttle rejects, in telemetry.
const reasonThrottled = "throttled"

// Done notes what came of the call: err is its error, or nil.
func (p *Permit) Done(err error) {
	t := p.throttle
	if t == nil {
		return
	}
	p.throttle = nil
	requests := window.Counts{Calls: 1}
	if err != nil {
		failure, asked := resilience.CalleeError(err)
		if !asked || isCanceled(p.ctx.Err()) || isCanceled(failure) {
			return
		}
		switch t.rules.Classify(failure) {
		case resilience.ClassRefused:
			return
		case resilience.ClassPermanent:
		default:
			requests.Failures = 1
		}
	}
	now := t.now()
	t.counts.Add(now, requests)
	if requests.Failures > 0 {
		t.trouble(now)
	} else if until := t.troubledUntil.Load(); until != 0 && int64(now) > until {
		t.troubledUntil.CompareAndSwap(until, 0)
	}
}

// trouble notes that the window holds a request that was not accepted at now.
func (t *Throttle) trouble(now time.Duration) {
	t.troubledUntil.Store(int64(now + t.span))
}

// Probability returns the probability with which a call would be rejected now.
func (t *Throttle) Probability() float64 {
	if t == nil || t.troubledUntil.Load() == 0 {
		return 0
	}
	return t.probability(t.now())
}

func (t *Throttle) probability(now time.Duration) float64 {
	sum := t.counts.Sum(now)
	return rejection(sum.Calls, sum.Calls-sum.Failures, t.multiplier)
}

// rejection returns the probability with which a call is to be rejected: equation 21-1 of
// the book.
func rejection(requests, accepts int64, k float64) float64 {
	n, a := float64(max(requests, 0)), float64(max(accepts, 0))
	return max(0, (n-k*a)/(n+1))
}

// now returns the time since the epoch.
func (t *Throttle) now() time.Duration { return clock.Since(t.clock, t.epoch) }

// Name returns the name under which telemetry shows the throttle.
func (t *Throttle) Name() string {
	if t == nil {
		return ""
	}
	return t.name
}

// Describe implements [resilience.Part].
func (t *Throttle) Describe() resilience.Description {
	return resilience.Description{Kind: "throttle", Name: t.Name()}
}

// Warn implements [resilience.Part].
func (t *Throttle) Warn(ctx context.Context, p resilience.Problem) {
	if t != nil {
		t.tel.Warn(ctx, p.Reason, p.Detail)
	}
}
