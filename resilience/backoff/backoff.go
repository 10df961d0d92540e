// Package backoff computes how long to wait before a retry.
//
// Everything here is arithmetic without state: a [Backoff] may be shared by any
// number of calls and goroutines, and the same arguments give the same delay. Chance
// comes in as an argument, so a delay can be tested, replayed and simulated.
//
//	b := backoff.Exponential{Initial: time.Second, Max: time.Minute, Jitter: backoff.FullJitter}
//	d := b.Delay(3, 0, rand.Float64()) // before the fourth retry: 0 to 8 s
//
// No delay is ever negative or longer than its Max, whatever the arguments.
package backoff

import (
	"fmt"
	"math"
	"time"
)

// A Backoff tells how long to wait before a retry.
type Backoff interface {
	// Delay returns the wait before the n-th retry of a call, counted from 0. prev is
	// the wait before the retry that came before, 0 if there was none. u is drawn
	// uniformly from [0, 1) for this delay alone.
	Delay(n int, prev time.Duration, u float64) time.Duration
}

// Func makes a Backoff of a function.
type Func func(n int, prev time.Duration, u float64) time.Duration

// Delay calls f. What f returns below 0 counts as 0.
func (f Func) Delay(n int, prev time.Duration, u float64) time.Duration {
	return max(f(n, prev, u), 0)
}

// Exponential waits Initial * Base^n, at most Max, and then applies Jitter. It is the
// "capped exponential backoff" of Ethernet and TCP (RFC 6298, section 5.5).
type Exponential struct {
	// Initial is the delay before the first retry, before jitter; 0 means no delay.
	Initial time.Duration
	// Max bounds every delay; 0 means no bound.
	Max time.Duration
	// Base is the factor from one delay to the next, at least 1; 0 means 2.
	Base float64
	// Jitter is how chance spreads the delay; 0 means FullJitter.
	Jitter Jitter
}

// Delay implements [Backoff].
func (b Exponential) Delay(n int, _ time.Duration, u float64) time.Duration {
	base := b.Base
	if base == 0 {
		base = 2
	}
	if b.Initial <= 0 {
		return 0
	}
	return b.Jitter.apply(clamp(float64(b.Initial)*math.Pow(base, float64(max(n, 0))), b.Max), b.Max, u)
}

// Validate reports the first field that is out of its range.
func (b Exponential) Validate() error {
	if b.Base != 0 && !(b.Base >= 1 && b.Base <= math.MaxFloat64) {
		return fmt.Errorf("backoff: Base: %v is not allowed: want a finite number of at least 1, or 0 for 2", b.Base)
	}
	return validate(b.Jitter, field{"Initial", b.Initial}, field{"Max", b.Max})
}

// Constant waits the same before every retry, with Jitter applied.
type Constant struct {
	Interval time.Duration
	Jitter   Jitter // 0 means FullJitter
}

// Delay implements [Backoff].
func (b Constant) Delay(_ int, _ time.Duration, u float64) time.Duration {
	return b.Jitter.apply(max(b.Interval, 0), 0, u)
}

// Validate reports the first field that is out of its range.
func (b Constant) Validate() error {
	return validate(b.Jitter, field{"Interval", b.Interval})
}

// Linear waits Initial + n * Step, at most Max, and then applies Jitter.
type Linear struct {
	Initial time.Duration
	Step    time.Duration
	Max     time.Duration // 0 means no bound
	Jitter  Jitter        // 0 means FullJitter
}

// Delay implements [Backoff].
func (b Linear) Delay(n int, _ time.Duration, u float64) time.Duration {
	d := float64(b.Initial) + float64(max(n, 0))*float64(b.Step)
	return b.Jitter.apply(clamp(d, b.Max), b.Max, u)
}

// Validate reports the first field that is out of its range.
func (b Linear) Validate() error {
	return validate(b.Jitter, field{"Initial", b.Initial}, field{"Step", b.Step}, field{"Max", b.Max})
}

// Fibonacci waits Initial times 1, 1, 2, 3, 5, 8 and so on, at most Max, and then
// applies Jitter. It grows by 1.618 a retry, slower than an Exponential of base 2.
type Fibonacci struct {
	Initial time.Duration
	Max     time.Duration // 0 means no bound
	Jitter  Jitter        // 0 means FullJitter
}

// Delay implements [Backoff].
func (b Fibonacci) Delay(n int, _ time.Duration, u float64) time.Duration {
	current, next := 1.0, 1.0
	for range min(max(n, 0), maxFibonacci) {
		current, next = next, current+next
	}
	return b.Jitter.apply(clamp(float64(b.Initial)*current, b.Max), b.Max, u)
}

// Beyond the 92nd Fibonacci number even a nanosecond grows past the longest
// time.Duration.
const maxFibonacci = 92

// Validate reports the first field that is out of its range.
func (b Fibonacci) Validate() error {
	return validate(b.Jitter, field{"Initial", b.Initial}, field{"Max", b.Max})
}

// Decorrelated draws each delay uniformly from Initial to three times the delay
// before, at most Max. It brings its own jitter.
//
// Source: Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
type Decorrelated struct {
	Initial time.Duration
	Max     time.Duration // 0 means no bound
}

// Delay implements [Backoff].
func (b Decorrelated) Delay(_ int, prev time.Duration, u float64) time.Duration {
	low := max(float64(b.Initial), 0)
	high := max(3*float64(prev), low)
	return clamp(low+unit(u)*(high-low), b.Max)
}

// Validate reports the first field that is out of its range.
func (b Decorrelated) Validate() error {
	return validate(FullJitter, field{"Initial", b.Initial}, field{"Max", b.Max})
}

// clamp converts d to a Duration of at most limit, or of at most the longest there
// is if limit is not positive. It compares as floating point, before a conversion
// could overflow; NaN counts as too long.
func clamp(d float64, limit time.Duration) time.Duration {
	if limit <= 0 {
		limit = math.MaxInt64
	}
	if d < 0 {
		return 0
	}
	if d < float64(limit) {
		return time.Duration(d)
	}
	return limit
}

// unit returns u if it lies in [0, 1), and the nearest end otherwise.
func unit(u float64) float64 {
	if u >= 0 && u < 1 {
		return u
	}
	if u >= 1 {
		return 1
	}
	return 0
}

type field struct {
	name  string
	value time.Duration
}

func validate(j Jitter, durations ...field) error {
	for _, d := range durations {
		if d.value < 0 {
			return fmt.Errorf("backoff: %s: %v is not allowed: want at least 0", d.name, d.value)
		}
	}
	return j.Validate()
}
