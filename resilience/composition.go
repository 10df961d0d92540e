package resilience

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// A Part is a policy that says what it is, so that a composition of several can be
// checked. Every policy of this toolkit is one.
type Part interface {
	Policy
	Describe() Description
	// Warn tells telemetry of a problem of the composition that the part belongs to.
	Warn(ctx context.Context, p Problem)
}

// A Description says what a policy does to the operation, as far as the order of a
// composition depends on it. Times are 0 where there are none.
type Description struct {
	// Kind is "retry", "breaker", "bulkhead", "ratelimit", "adaptive", "throttle",
	// "timeout" or "stack", and Name is the policy's own. A part without a name is none.
	Kind, Name string
	// Repeats: the policy may call the operation several times.
	Repeats bool
	// Timeout bounds the whole call from here on inwards.
	Timeout time.Duration
	// AttemptTimeout bounds each call of the operation by a policy that repeats.
	AttemptTimeout time.Duration
	// FirstDelay is the mean delay before the first repetition.
	FirstDelay time.Duration
}

// A Problem is something that is known to be wrong about a composition.
type Problem struct {
	// Reason is one of the constants below.
	Reason string
	// Detail says in a sentence what is wrong and what to do.
	Detail string
}

// Reasons of a [Problem].
const (
	// NestedRetries: a policy that repeats stands inside of another, so that their
	// attempts multiply.
	NestedRetries = "nested_retries"
	// BreakerOutsideRetry: a circuit breaker stands outside of a retry. It sees calls in
	// place of attempts: failures that the retry makes good are hidden from it, and it
	// cannot stop the retries of a call when the callee is down.
	BreakerOutsideRetry = "breaker_outside_retry"
	// TimeoutTooShort: a timeout outside of a retry leaves no time for a second attempt, if
	// the first one takes its own timeout or if the delay before the second is the mean one.
	TimeoutTooShort = "timeout_too_short"
)

// Check returns what is known to be wrong about the order of policies, outermost first;
// none of them may be wrong in another place. It looks into [Chain] and into any policy
// with a method Stages() []Policy. Of a policy that is no [Part] it knows nothing. A Chain
// checks itself and, on its first use, tells the telemetry of one of its parts; call Check
// in a test to be told earlier. It finds the mistakes that have a [Problem] of their own, and
// no others.
func Check(policies ...Policy) []Problem {
	stages := describe(policies)
	var problems []Problem
	for i, inner := range stages {
		if !inner.Repeats {
			continue
		}
		for _, outer := range stages[:i] {
			if p := outer.problemAround(inner, stages[i+1:]); p.Reason != "" {
				problems = append(problems, p)
			}
		}
	}
	return problems
}

// describe returns what the parts among the policies say of themselves.
func describe(policies []Policy) (stages []Description) {
	for _, p := range flatten(policies) {
		if s, ok := p.(interface{ Stages() []Policy }); ok {
			stages = append(stages, describe(s.Stages())...)
		} else if part, ok := p.(Part); ok {
			if d := part.Describe(); d.Name != "" { // a nil part does nothing
				stages = append(stages, d)
			}
		}
	}
	return stages
}

// problemAround returns what is wrong about d around retries, inside of which the other
// stages stand.
func (d Description) problemAround(retries Description, inside []Description) (p Problem) {
	switch {
	case d.Repeats:
		return Problem{NestedRetries, fmt.Sprintf("%s %q stands inside of %s %q: their attempts multiply; keep one of them",
			retries.Kind, retries.Name, d.Kind, d.Name)}
	case d.Kind == "breaker":
		return Problem{BreakerOutsideRetry, fmt.Sprintf("%s %q stands outside of %s %q, which hides failures from it: put it inside",
			d.Kind, d.Name, retries.Kind, retries.Name)}
	case d.Timeout <= 0:
		return p
	}
	attempt, whose := retries.AttemptTimeout, retries
	for _, s := range inside {
		if s.Timeout > 0 && (attempt == 0 || s.Timeout < attempt) {
			attempt, whose = s.Timeout, s
		}
	}
	switch {
	case attempt >= d.Timeout:
		return Problem{TimeoutTooShort, fmt.Sprintf("%s %q ends the call after %v, but %s %q gives one attempt %v: no time is left for another",
			d.Kind, d.Name, d.Timeout, whose.Kind, whose.Name, attempt)}
	case retries.FirstDelay >= d.Timeout:
		return Problem{TimeoutTooShort, fmt.Sprintf("%s %q ends the call after %v, but %s %q waits %v on average before its first retry",
			d.Kind, d.Name, d.Timeout, retries.Kind, retries.Name, retries.FirstDelay)}
	}
	return p
}

// warning tells of the problems of a chain on its first use.
type warning struct {
	problems []Problem
	told     atomic.Bool
}

// newWarning returns the warning for a chain of these stages, or nil if it needs none.
func newWarning(stages []Policy) *warning {
	if problems := Check(stages...); problems != nil {
		return &warning{problems: problems}
	}
	return nil
}

// tell lets the outermost part of the chain tell its telemetry, once.
func (w *warning) tell(ctx context.Context, stages []Policy) {
	if w == nil || w.told.Swap(true) {
		return
	}
	for _, s := range stages {
		if part, ok := s.(Part); ok && part.Describe().Name != "" {
			for _, p := range w.problems {
				part.Warn(ctx, p)
			}
			return
		}
	}
}
