package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/observable-go/toolkit/resilience/telemetry"
)

// A screen is where the program writes: a terminal or anything else.
type screen struct {
	io.Writer
	terminal bool
}

func newScreen(f *os.File) screen {
	info, err := f.Stat()
	return screen{f, err == nil && info.Mode()&os.ModeCharDevice != 0}
}

// A sample is the state of a run at a time. What the client side tells comes from the
// metrics, what the load is from the dependencies.
type sample struct {
	time       time.Time
	calls      int64 // with the budget, ended
	successful int64 // of them
	tokens     float64
	requests   []int64 // at each side's dependency
}

// progress shows how a run goes on.
type progress struct {
	screen   screen
	timeline timeline
	signals  *signals
	sides    []*side
	samples  []sample // of the last second, oldest first
}

// show writes until done is closed. On a terminal it is one line that is written over
// again and again, elsewhere a line now and then.
func (p *progress) show(done <-chan struct{}) {
	interval, before, after := p.timeline.line, "", "\n"
	if p.screen.terminal {
		interval, before, after = p.timeline.refresh, "\r", ""
	}
	fmt.Fprint(p.screen, progressHeader)
	tick := time.NewTicker(interval)
	defer tick.Stop()
	p.sample(p.timeline.began)
	for {
		select {
		case now := <-tick.C:
			if p.sample(now) {
				fmt.Fprint(p.screen, before, p.line(), after)
			}
		case <-done:
			if p.screen.terminal {
				fmt.Fprintln(p.screen)
			}
			return
		}
	}
}

const progressHeader = `                                               with budget      no budget
     time  phase      calls/s success tokens    req/s   load    req/s   load
`

// line compares the newest sample with the oldest.
func (p *progress) line() string {
	old, now := p.samples[0], p.samples[len(p.samples)-1]
	seconds := now.time.Sub(old.time).Seconds()
	calls := now.calls - old.calls
	var line strings.Builder
	fmt.Fprintf(&line, "%4.1f/%2.0f s  %-9s %8.0f %7s %6.1f",
		min(now.time.Sub(p.timeline.began), p.timeline.total()).Seconds(), p.timeline.total().Seconds(),
		p.timeline.at(now.time.Add(-p.timeline.refresh)), float64(calls)/seconds,
		percent(float64(now.successful-old.successful)/float64(calls)), now.tokens)
	for i, s := range p.sides {
		rate := float64(now.requests[i]-old.requests[i]) / seconds
		fmt.Fprintf(&line, "%9.0f %6s", rate, times(rate/s.dependency.rate(healthy, now.time)))
	}
	return line.String()
}

// sample adds a sample, drops those that are older than a second and reports whether
// there are two to compare.
func (p *progress) sample(now time.Time) bool {
	rm, err := p.signals.metrics()
	if err != nil {
		return false
	}
	c := countsOf(rm, policyWithBudget)
	s := sample{
		time: now, calls: c.calls(), tokens: tokensOf(rm, budgetName),
		successful: c.of(telemetry.OutcomeSuccess, telemetry.OutcomeSuccessAfterRetry),
	}
	for _, side := range p.sides {
		s.requests = append(s.requests, side.dependency.total())
	}
	p.samples = append(p.samples, s)
	for len(p.samples) > 2 && now.Sub(p.samples[1].time) >= time.Second-p.timeline.refresh/2 {
		p.samples = p.samples[1:]
	}
	return len(p.samples) > 1
}
