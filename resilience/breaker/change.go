package breaker

import (
	"context"
	"time"

	"github.com/observable-go/toolkit/resilience/telemetry"
)

// A report is a change that is to be told of, under the context of the call that made it.
type report struct {
	ctx    context.Context
	change Change
}

// change ends the epoch e with a change to state, unless it has ended already. It reports
// whether it did.
func (b *Breaker) change(ctx context.Context, e *epoch, state State, failedProbes int, reason Reason) bool {
	now := b.now()
	next := b.newEpoch(state, failedProbes, now)
	if !b.replace(ctx, e, next, Change{
		Name: b.name, From: e.state, To: state, Reason: reason, OpenFor: next.openFor,
	}, now) {
		return false
	}
	b.report()
	return true
}

// replace puts next in the place of e, whose counts go into the report.
func (b *Breaker) replace(ctx context.Context, e, next *epoch, c Change, now time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.current.Load() != e {
		return false
	}
	b.current.Store(next)
	if c.From != c.To {
		c.Counts = e.counts(now)
		b.changes = append(b.changes, report{ctx, c})
	}
	return true
}

// report tells of the changes that nobody has told of. If somebody is at it, that one goes
// on with ours, so that they are told of in their order and one at a time.
func (b *Breaker) report() {
	if !b.startReporting() {
		return
	}
	finished := false
	defer func() {
		if !finished { // the user's function panicked
			b.stopReporting()
		}
	}()
	for {
		r, ok := b.nextReport()
		if !ok {
			finished = true
			return
		}
		c := r.change
		b.tel.StateChanged(r.ctx, telemetry.BreakerChange{
			From: c.From.String(), To: c.To.String(), Reason: string(c.Reason),
			Calls: c.Counts.Calls, Failures: c.Counts.Failures, Slow: c.Counts.Slow, OpenFor: c.OpenFor,
		})
		if b.onChange != nil {
			b.onChange(c)
		}
	}
}

func (b *Breaker) startReporting() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.reporting || len(b.changes) == 0 {
		return false
	}
	b.reporting = true
	return true
}

// nextReport returns the next change to tell of. If there is none the reporting is over, at
// once with the look, so that no change is left to nobody.
func (b *Breaker) nextReport() (report, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.changes) == 0 {
		b.reporting = false
		return report{}, false
	}
	r := b.changes[0]
	b.changes = b.changes[1:]
	return r, true
}

func (b *Breaker) stopReporting() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reporting = false
}
