package bulkhead

import "time"

// maxRound is how many calls of a round are looked at, at most: the mean of a hundred is
// ten times as steady as one of them.
const maxRound = 100

// round collects what the calls tell that began and ended under one limit.
type round struct {
	calls    int
	latency  float64 // the sum, in nanoseconds
	inflight int     // the most
}

// add adds a call that succeeded, and reports whether they are enough under that limit:
// as many as may be under way, or maxRound.
func (r *round) add(s Sample, limit float64) bool {
	r.calls++
	r.latency += float64(s.Latency)
	r.inflight = max(r.inflight, s.Inflight)
	return float64(r.calls) >= min(maxRound, float64(int(limit)))
}

// sample sums the calls up.
func (r *round) sample() Sample {
	return Sample{Latency: time.Duration(r.latency / float64(r.calls)), Inflight: r.inflight}
}
