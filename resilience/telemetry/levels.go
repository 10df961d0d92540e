package telemetry

import (
	"math"
	"sync/atomic"
)

// A level tells how to read what something holds.
type level[F any] struct {
	read   F
	number uint64 // the newest has the largest
}

var lastLevel atomic.Uint64

func newLevel[F any](read F) *level[F] { return &level[F]{read, lastLevel.Add(1)} }

// newerThan reports whether there is a level and it is newer than that of the number, which
// becomes its own then.
func (l *level[F]) newerThan(number *uint64) bool {
	if l == nil || l.number < *number {
		return false
	}
	*number = l.number
	return true
}

// A BulkheadLevel is what a bulkhead holds, in calls.
type BulkheadLevel struct{ Limit, Inflight, Queued int }

// NewBulkhead returns the signals of a bulkhead. The level is read whenever metrics are
// collected, here and below; among guards of one kind and name that of the newest is.
func NewBulkhead(name string, level func() BulkheadLevel, opts ...Option) (*Guard, error) {
	return newGuard(kindBulkhead, name, func() []float64 {
		l := level()
		return []float64{float64(l.Limit), float64(l.Inflight), float64(l.Queued)}
	}, opts)
}

// A RateLevel is what a rate limit allows, in calls a second.
type RateLevel struct{ Rate float64 }

// NewRateLimit returns the signals of a rate limit.
func NewRateLimit(name string, level func() RateLevel, opts ...Option) (*Guard, error) {
	return newGuard(kindRateLimit, name, func() []float64 { return []float64{level().Rate} }, opts)
}

// An AdaptiveLevel is what an adaptive rate limit allows, if it is Limited, and what came
// back, both in calls a second.
type AdaptiveLevel struct {
	Limited        bool
	Rate, Measured float64
}

// NewAdaptive returns the signals of an adaptive rate limit.
func NewAdaptive(name string, level func() AdaptiveLevel, opts ...Option) (*Guard, error) {
	return newGuard(kindAdaptive, name, func() []float64 {
		l := level()
		if !l.Limited {
			l.Rate = math.NaN()
		}
		return []float64{l.Rate, l.Measured}
	}, opts)
}

// NewThrottle returns the signals of a throttle. The level is the probability with which
// it rejects a call.
func NewThrottle(name string, level func() float64, opts ...Option) (*Guard, error) {
	return newGuard(kindThrottle, name, func() []float64 { return []float64{level()} }, opts)
}

// A DelaysLevel is the state of delays that adapt.
type DelaysLevel struct{ Factor, FailureRatio float64 }

// NewDelays returns the signals of delays that adapt.
func NewDelays(name string, level func() DelaysLevel, opts ...Option) (*Guard, error) {
	return newGuard(kindDelays, name, func() []float64 {
		l := level()
		return []float64{l.Factor, l.FailureRatio}
	}, opts)
}
