package bulkhead

// What Gradient2 is tuned by: the defaults of the original.
const (
	gradientWindow    = 600 // rounds of the long mean
	gradientWarmUp    = 10  // rounds that the long mean begins with
	gradientTolerance = 1.5
	gradientQueue     = 4
	gradientSmoothing = 0.2
	gradientDrift     = 0.95
)

// Gradient2 is an adaptive limit that compares the latency of a round of calls with the mean
// of many. It suits calls that take unequally long, and callees whose latency changes with
// the time of the day. With r the mean latency of a round (see [Sample]) and R the mean of
// the last 600 or so, the next limit is
//
//	limit                                         if fewer than half of the limit were under way
//	0.8 * limit + 0.2 * (gradient * limit + 4)    otherwise
//	gradient = 1.5 * R / r, at least 0.5 and at most 1
//
// within MinLimit and MaxLimit. R is the plain mean of the first ten rounds; then each
// moves it by 2/601 of the difference. If R is more than twice r, load has gone, and R is
// multiplied by 0.95 for the rounds that follow. A call that was dropped counts with the
// gradient 0.5, however few are under way, and its latency does not count for R.
//
// It is after Gradient2Limit of Netflix's library concurrency-limits. That does not know
// of dropped calls, so that a callee that sheds its load fast, or times out steadily,
// seems to be well.
//
// The zero Gradient2 is ready to use. Each bulkhead needs one of its own.
type Gradient2 struct {
	// MinLimit and MaxLimit bound the limit: 1 to MaxLimit of the package. With 0 they
	// are 1 and 1000.
	MinLimit, MaxLimit int

	owner
	long longMean
}

func (g *Gradient2) validate(limit int) error {
	if g == nil {
		return errNilAlgorithm
	}
	return g.bounds().validate(limit)
}

func (g *Gradient2) bounds() bounds { return bounds{g.MinLimit, g.MaxLimit} }

// Next is called by the bulkhead: see [Algorithm].
func (g *Gradient2) Next(limit float64, s Sample) float64 { return g.bounds().clamp(g.next(limit, s)) }

// next is Next without the bounds.
func (g *Gradient2) next(limit float64, s Sample) float64 {
	gradient := 0.5
	if !s.Dropped {
		short := float64(max(s.Latency, 1)) // a clock may be coarse
		long := g.long.add(short)
		if long > 2*short {
			g.long.value *= gradientDrift
		}
		if float64(s.Inflight) < limit/2 {
			return limit
		}
		gradient = max(0.5, min(1, gradientTolerance*long/short))
	}
	target := gradient*limit + gradientQueue
	return (1-gradientSmoothing)*limit + gradientSmoothing*target
}

// longMean is the long mean of latencies, in nanoseconds: a plain mean of the first
// samples, and then an exponentially smoothed one.
type longMean struct {
	count      int
	sum, value float64
}

func (m *longMean) add(latency float64) float64 {
	if m.count < gradientWarmUp {
		m.count++
		m.sum += latency
		m.value = m.sum / float64(m.count)
	} else {
		m.value += (latency - m.value) * 2 / (gradientWindow + 1)
	}
	return m.value
}

var (
	_ Algorithm    = (*Vegas)(nil)
	_ Algorithm    = (*Gradient2)(nil)
	_ ownAlgorithm = (*Vegas)(nil)
	_ ownAlgorithm = (*Gradient2)(nil)
)
