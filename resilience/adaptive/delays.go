package adaptive

import (
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

const (
	// throttledFailures is for how many failures in a row an answer counts that asks for
	// fewer calls.
	throttledFailures = 3
	// negligible is how close the estimate comes to none or all before it is that. It
	// changes no factor by more than a hundredth of a percent.
	negligible = 1e-5
)

// Delays is a [backoff.Backoff] that learns from the pattern of errors: it stretches the
// delays of another one when much fails, and shortens them when a failure is an exception.
// A retry policy that has it as its backoff tells it of every attempt:
//
//	delays, err := adaptive.NewDelays("inventory", backoff.Exponential{Initial: time.Second})
//	policy, err := retry.New("inventory.get", retry.WithBackoff(delays))
//
// It estimates f, the share of attempts that fail, as an exponentially weighted average
// over the attempts, and multiplies every delay by
//
//	least * (most/least)^f
//
// which is least, 0.5, as long as nothing fails, and most, 4, in an outage. The estimate is
//
//	f = f + weight * (x - f)
//
// for each attempt, where x is 1 for a failure and 0 for any other answer, and the weight
// 1/16. An answer by which the callee asks for fewer calls is counted as three failures in a
// row.
//
// The estimate is shared by all that share the Delays, so make one for each callee. Delays
// are made by [NewDelays]. They take no lock and are safe for use by several goroutines at
// once. A nil *Delays waits for nothing.
type Delays struct {
	name                 string
	base                 backoff.Backoff
	minFactor, maxFactor float64
	ratio                float64 // maxFactor / minFactor
	maxDelay             time.Duration
	keep, keepThrottled  float64 // what an attempt, or one that is throttled, leaves of the estimate before

	_ [64]byte // what follows is written to, what stands above is not

	failing atomic.Uint64 // f, as the bits of a float64
}

var _ backoff.Backoff = (*Delays)(nil)

// NewDelays returns delays on the base of another backoff, and validates that too if it has
// a method Validate() error. The base must be safe for use by several goroutines at once.
// The name identifies the delays in telemetry.
func NewDelays(name string, base backoff.Backoff, opts ...Option) (*Delays, error) {
	s, err := settle(delays, name, opts)
	if err != nil {
		return nil, err
	}
	if err := s.checkBackoff(base); err != nil {
		return nil, err
	}
	d := &Delays{
		name:          name,
		base:          base,
		minFactor:     s.minFactor,
		maxFactor:     s.maxFactor,
		ratio:         s.maxFactor / s.minFactor,
		maxDelay:      s.maxDelay,
		keep:          1 - s.weight,
		keepThrottled: math.Pow(1-s.weight, throttledFailures),
	}
	if _, err := telemetry.NewDelays(name, d.level, s.telemetry...); err != nil {
		return nil, fmt.Errorf("adaptive: %q: %w", name, err)
	}
	return d, nil
}

// MustNewDelays is [NewDelays] for package variables: it panics where that returns an
// error.
func MustNewDelays(name string, base backoff.Backoff, opts ...Option) *Delays {
	d, err := NewDelays(name, base, opts...)
	if err != nil {
		panic(err)
	}
	return d
}

// Delay implements [backoff.Backoff]: it returns the delay of the base, multiplied by
// Factor, 0 to that of [WithMaxDelay]. The base is told the delay before divided by the
// factor of now, so that a backoff that builds on it, such as [backoff.Decorrelated], is not
// stretched twice. If the factor has changed since, it builds on a delay that is shorter or
// longer by as much as that.
func (d *Delays) Delay(n int, prev time.Duration, u float64) time.Duration {
	if d == nil {
		return 0
	}
	factor := d.Factor()
	base := d.base.Delay(n, saturate(float64(max(prev, 0))/factor), u)
	return min(saturate(float64(max(base, 0))*factor), d.maxDelay)
}

// Observe learns from one attempt. [resilience.ClassRetryable] is a failure, and so is any
// class if the attempt was throttled, as [resilience.Throttled] tells of its error.
// [resilience.ClassRefused] says nothing about the callee and is not counted. Everything
// else is an answer: a success, for which the class is [resilience.ClassUnknown] as for
// every nil error, and an error that would not be retried.
//
// If two goroutines observe at the very same time one of them may go unheard, whatever it
// had to say. While nothing fails, and while everything does, Observe writes nothing.
func (d *Delays) Observe(class resilience.Class, throttled bool) {
	if d == nil || class == resilience.ClassRefused {
		return
	}
	bits := d.failing.Load()
	old := math.Float64frombits(bits)
	f := old
	switch {
	case throttled:
		f = 1 - (1-f)*d.keepThrottled
	case class == resilience.ClassRetryable:
		f = 1 - (1-f)*d.keep
	default:
		f *= d.keep
	}
	if f < negligible || f > 1-negligible {
		f = math.Round(f)
	}
	if f != old {
		d.failing.CompareAndSwap(bits, math.Float64bits(f))
	}
}

// FailureRatio returns the estimate of the share of attempts that fail, 0 to 1. It is 0 at
// first.
func (d *Delays) FailureRatio() float64 {
	if d == nil {
		return 0
	}
	return math.Float64frombits(d.failing.Load())
}

// Factor returns by what delays are multiplied now, between the factors of [WithFactors].
func (d *Delays) Factor() float64 {
	if d == nil {
		return 1
	}
	f := d.FailureRatio()
	return min(max(d.minFactor*math.Pow(d.ratio, f), d.minFactor), d.maxFactor)
}

// Name returns the name under which telemetry shows the delays.
func (d *Delays) Name() string {
	if d == nil {
		return ""
	}
	return d.name
}

func (d *Delays) level() telemetry.DelaysLevel {
	return telemetry.DelaysLevel{Factor: d.Factor(), FailureRatio: d.FailureRatio()}
}
