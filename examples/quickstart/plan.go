package main

import "time"

// A plan says how long a run lasts and how much traffic there is.
type plan struct {
	lasts    [ending]time.Duration // of each phase before the ending
	interval time.Duration         // from one call to the next
	workers  int                   // goroutines that make calls, on each side
	refresh  time.Duration         // of the progress on a terminal
	line     time.Duration         // from one line of progress to the next elsewhere
	flush    time.Duration         // that the last export may take
}

// standardPlan is that of a run by hand.
var standardPlan = plan{
	lasts:    [...]time.Duration{healthy: 6 * time.Second, outage: 10 * time.Second, recovered: 6 * time.Second},
	interval: 10 * time.Millisecond,
	workers:  64,
	refresh:  250 * time.Millisecond,
	line:     time.Second,
	flush:    3 * time.Second,
}

// total returns how long new calls are made.
func (p plan) total() time.Duration {
	var sum time.Duration
	for _, d := range p.lasts {
		sum += d
	}
	return sum
}

// A phase is a part of a run.
type phase int

const (
	healthy phase = iota
	outage
	recovered
	ending // no new calls: those under way come to their end
	numPhases
)

// String returns the phase in a word.
func (p phase) String() string {
	return [numPhases]string{"healthy", "outage", "recovered", "ending"}[p]
}

// A timeline is a plan that has begun.
type timeline struct {
	plan
	began time.Time
}

// at returns the phase at a time.
func (t timeline) at(now time.Time) phase {
	elapsed := now.Sub(t.began)
	for p, d := range t.lasts {
		if elapsed < d {
			return phase(p)
		}
		elapsed -= d
	}
	return ending
}

// spent returns how much of a phase before the ending has passed by a time.
func (t timeline) spent(p phase, now time.Time) time.Duration {
	begin := t.began
	for _, d := range t.lasts[:p] {
		begin = begin.Add(d)
	}
	return min(max(now.Sub(begin), 0), t.lasts[p])
}
