package scenario

import (
	"math"
	"time"
)

// Points is how many values a series has.
const Points = 120

// Series are what happened in each of the equal intervals of a run.
type Series struct {
	Calls    []float64 `json:"calls"`    // that came, a second
	Requests []float64 `json:"requests"` // that reached the callee, a second
	Goodput  []float64 `json:"goodput"`  // calls that succeeded, a second
	Failed   []float64 `json:"failed"`   // calls that failed, a second
	P50      []float64 `json:"p50"`      // latency of calls that ended, in seconds
	P99      []float64 `json:"p99"`
	Waiting  []float64 `json:"waiting"` // requests in the callee's queue, at the end of the interval
	Tokens   []float64 `json:"tokens"`  // of the budgets, on average, at the end of the interval
	Open     []float64 `json:"open"`    // share of breakers that are not closed, then
}

// A Run is what one seed did.
type Run struct {
	Seed uint64 `json:"seed"`
	Series
	Summary
	// Reasons are the calls that failed, by why they were not retried any more.
	Reasons map[string]int `json:"reasons"`
}

// Summary are the figures of a run.
type Summary struct {
	TotalCalls    int `json:"total_calls"`
	TotalRequests int `json:"total_requests"`
	Succeeded     int `json:"succeeded"`
	Wasted        int `json:"wasted"` // requests that were served in vain
	// Amplification is requests a call, Peak that of the worst interval.
	Amplification float64 `json:"amplification"`
	Peak          float64 `json:"peak_amplification"`
	Success       float64 `json:"success"`
	// Recovery is the time from the end of the last fault or burst to a goodput as before, or -1 if that
	// did not come back, or 0 if there is none.
	Recovery float64 `json:"recovery_seconds"`
	// Completion is when the last call ended.
	Completion float64 `json:"completion_seconds"`
	MeanSecs   float64 `json:"mean_latency_seconds"`
	// Tail99 and Tail999 are the latencies that 1 % and 0.1 % of all calls are above, in seconds.
	Tail99  float64 `json:"p99_latency_seconds"`
	Tail999 float64 `json:"p999_latency_seconds"`
	// Tail99999 is that of 0.001 %: what one of a thousand waits for who ask a hundred at a time.
	Tail99999 float64 `json:"p99999_latency_seconds"`
}

// A meter counts in intervals.
type meter struct {
	interval                         time.Duration
	calls, requests, goodput, failed [Points]int
	latencies                        [Points]latencies
	waiting                          [Points]float64
	tokens, open                     [Points]float64
	totalLatency                     time.Duration
	ended                            int
	last                             time.Duration
	reasons                          map[string]int
}

func newMeter(span time.Duration) *meter {
	return &meter{interval: (span + Points - 1) / Points, reasons: make(map[string]int)}
}

func (m *meter) at(now time.Duration) int { return min(int(now/m.interval), Points-1) }

func (m *meter) end(began, now time.Duration, ok bool) {
	i := m.at(now)
	if ok {
		m.goodput[i]++
	} else {
		m.failed[i]++
	}
	m.latencies[i].add(now - began)
	m.totalLatency += now - began
	m.ended++
	m.last = now
}

// latencies count times in classes, each a twentieth wider than the one before.
type latencies struct {
	counts []uint32
	n      int
}

const (
	classGrowth = 1.05
	leastClass  = 1e-5 // seconds
)

var logGrowth = math.Log(classGrowth)

func (l *latencies) add(d time.Duration) {
	class := 0
	if s := d.Seconds(); s > leastClass {
		class = 1 + int(math.Log(s/leastClass)/logGrowth)
	}
	for len(l.counts) <= class {
		l.counts = append(l.counts, 0)
	}
	l.counts[class]++
	l.n++
}

// merge adds the times of others.
func (l *latencies) merge(other *latencies) {
	for len(l.counts) < len(other.counts) {
		l.counts = append(l.counts, 0)
	}
	for class, n := range other.counts {
		l.counts[class] += n
	}
	l.n += other.n
}

// quantile returns a time, in seconds, that a share of the times are not above, NaN if there are none.
func (l *latencies) quantile(share float64) float64 {
	if l.n == 0 {
		return math.NaN()
	}
	rank := int(math.Ceil(share * float64(l.n)))
	for class, n := range l.counts {
		if rank -= int(n); rank <= 0 {
			return leastClass * math.Pow(classGrowth, float64(class))
		}
	}
	return math.NaN()
}

// run returns what was measured.
func (m *meter) run(s *Scenario, seed uint64, wasted int) *Run {
	rate := func(counts *[Points]int) []float64 {
		rates := make([]float64, Points)
		for i, n := range counts {
			rates[i] = float64(n) / m.interval.Seconds()
		}
		return rates
	}
	r := &Run{Seed: seed, Reasons: m.reasons, Series: Series{
		Calls: rate(&m.calls), Requests: rate(&m.requests), Goodput: rate(&m.goodput), Failed: rate(&m.failed),
		P50: make([]float64, Points), P99: make([]float64, Points), Waiting: m.waiting[:], Tokens: m.tokens[:], Open: m.open[:],
	}}
	var all latencies
	for i := range Points {
		all.merge(&m.latencies[i])
		r.P50[i], r.P99[i] = m.latencies[i].quantile(0.5), m.latencies[i].quantile(0.99)
		r.TotalCalls += m.calls[i]
		r.TotalRequests += m.requests[i]
		r.Succeeded += m.goodput[i]
		if m.calls[i] > 0 {
			r.Peak = max(r.Peak, float64(m.requests[i])/float64(m.calls[i]))
		}
	}
	r.Wasted = wasted
	r.Tail99, r.Tail999, r.Tail99999 = all.quantile(0.99), all.quantile(0.999), all.quantile(0.99999)
	r.Amplification = float64(r.TotalRequests) / float64(max(r.TotalCalls, 1))
	r.Success = float64(r.Succeeded) / float64(max(m.ended, 1))
	r.MeanSecs = m.totalLatency.Seconds() / float64(max(m.ended, 1))
	r.Completion = m.last.Seconds()
	r.Recovery = m.recovery(s)
	return r
}

// Goodput is as before when recoveredShare of it is there again and stays for a tenth of the time that is left.
const recoveredShare = 0.95

// troubles are the spans of time in which a run is not as usual: its faults, and bursts of calls.
func (s *Scenario) troubles() (spans [][2]time.Duration) {
	for _, f := range s.Faults {
		spans = append(spans, [2]time.Duration{f.From, f.To})
	}
	if s.Callers.Open != nil {
		for _, b := range s.Callers.Open.Bursts {
			spans = append(spans, [2]time.Duration{b.From, b.To})
		}
	}
	return spans
}

func (m *meter) recovery(s *Scenario) float64 {
	begins, ends := s.Duration, time.Duration(0)
	for _, span := range s.troubles() {
		begins, ends = min(begins, span[0]), max(ends, span[1])
	}
	if ends == 0 || ends >= s.Duration {
		return 0
	}
	first, before := m.at(s.Warmup), m.at(begins)
	if before <= first {
		return 0
	}
	share := func(from, to int) float64 { // of the calls that came, so that a rate that changes is no trouble
		good, calls := 0, 0
		for i := from; i < to; i++ {
			good, calls = good+m.goodput[i], calls+m.calls[i]
		}
		return float64(good) / float64(max(calls, 1))
	}
	baseline := share(first, before)
	stay := max(3, (Points-m.at(ends))/10)
	for i := m.at(ends); i+stay <= Points; i++ {
		if share(i, i+stay) >= recoveredShare*baseline {
			return max(0, (time.Duration(i)*m.interval - ends).Seconds())
		}
	}
	return -1
}
