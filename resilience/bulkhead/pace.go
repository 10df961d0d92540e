package bulkhead

import "time"

// minSmoothed is how many slots the pace is smoothed over at least.
const minSmoothed = 8

// pace measures how fast the queue moves: the mean time between two slots that are handed
// over. It knows something only while calls wait; the time between slots that nobody
// waits for says nothing about a queue.
type pace struct {
	began   bool
	last    time.Time // when the last slot was handed over
	seen    int       // intervals
	between float64   // smoothed, in nanoseconds
}

// handedOver notes that a slot was handed over. The mean is that of all intervals at
// first and becomes an exponentially smoothed one. It is smoothed over two rounds of all
// slots, since calls that began together often end together.
func (p *pace) handedOver(now time.Time, limit int) {
	if p.began {
		p.seen = min(p.seen+1, max(minSmoothed, 2*limit))
		p.between += (float64(now.Sub(p.last)) - p.between) / float64(p.seen)
	}
	p.began, p.last = true, now
}

// wait estimates how long a call at that position of the queue, from 1, will wait. It
// is unknown until every slot could have been handed over once.
func (p *pace) wait(position, limit int) (estimate time.Duration, known bool) {
	if p.seen < limit {
		return 0, false
	}
	return time.Duration(min(float64(position)*p.between, maxEstimate)), true
}

// maxEstimate keeps an estimate within what a time.Duration holds: it is 31 years.
const maxEstimate = 1e18
