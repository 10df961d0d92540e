package bulkhead

import (
	"math"
	"time"

	"github.com/observable-go/toolkit/internal/clock"
)

// probeEvery is after how many rounds for each call of the limit the latency without load
// is measured anew, at most.
const probeEvery = 30

// Vegas is an adaptive limit that takes the shortest latency of late for that of a callee
// without load, and what is above it for queueing in the callee. It suits calls
// that take equally long but for a few hundredths: it takes what is beyond that for
// queueing. With r the mean latency of a round of calls (see [Sample]) and r0 the shortest,
//
//	queue = ceil(limit * (1 - r0/r))
//
// calls queue in the callee, of those that the limit allows. With u = max(1, floor(log10
// limit)) the next limit is
//
//	limit - u    after a call that was dropped
//	limit        if fewer than half of the limit were under way: it was not tried
//	limit + 6u   if queue <= u
//	limit + u    if queue < 3u
//	limit        if queue <= 6u
//	limit - u    otherwise
//
// within MinLimit and MaxLimit. An r below r0 only becomes r0. So does, however long it is,
// the first r after 15 to 30 times the limit of rounds, where chance says which: a callee
// may have become slower for good.
//
// It is after VegasLimit of Netflix's library concurrency-limits, which is after TCP
// Vegas: Brakmo and Peterson, "TCP Vegas: End to End Congestion Avoidance on
// a Global Internet", IEEE Journal on Selected Areas in Communications 13 (1995). Unlike
// there the latency of a call that was dropped is never taken for r0, as a refused
// connection is fast.
//
// The zero Vegas is ready to use. Each bulkhead needs one of its own.
type Vegas struct {
	// MinLimit and MaxLimit bound the limit: 1 to MaxLimit of the package. With 0 they
	// are 1 and 1000.
	MinLimit, MaxLimit int

	owner
	fastest time.Duration // r0, or 0 if it is not known
	rounds  int           // since r0 was measured
	jitter  float64       // the share of probeEvery that is in force, or 0 if it is to be drawn
}

func (v *Vegas) validate(limit int) error {
	if v == nil {
		return errNilAlgorithm
	}
	return v.bounds().validate(limit)
}

func (v *Vegas) bounds() bounds { return bounds{v.MinLimit, v.MaxLimit} }

// Next is called by the bulkhead: see [Algorithm].
func (v *Vegas) Next(limit float64, s Sample) float64 { return v.bounds().clamp(v.next(limit, s)) }

// next is Next without the bounds.
func (v *Vegas) next(limit float64, s Sample) float64 {
	unit := logUnit(limit)
	if s.Dropped {
		return limit - unit
	}
	latency := max(s.Latency, 1) // a clock may be coarse
	if v.probes(limit) || v.fastest == 0 || latency < v.fastest {
		v.fastest = latency
		return limit
	}
	if float64(s.Inflight)*2 < limit {
		return limit
	}
	queue := math.Ceil(limit * (1 - float64(v.fastest)/float64(latency)))
	switch {
	case queue <= unit:
		return limit + 6*unit
	case queue < 3*unit:
		return limit + unit
	case queue <= 6*unit:
		return limit
	default:
		return limit - unit
	}
}

// probes counts a round and reports whether the latency without load is to be measured
// anew.
func (v *Vegas) probes(limit float64) bool {
	if v.jitter == 0 {
		v.jitter = 0.5 + clock.Random(v.clock)/2
	}
	v.rounds++
	if float64(v.rounds) < v.jitter*probeEvery*limit {
		return false
	}
	v.rounds, v.jitter = 0, 0
	return true
}

// logUnit returns max(1, floor(log10 limit)).
func logUnit(limit float64) float64 {
	unit := 1.0
	for ; limit >= 100; limit /= 10 {
		unit++
	}
	return unit
}
