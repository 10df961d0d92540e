package breaker

import (
	"context"
	"time"

	"github.com/observable-go/toolkit/resilience/telemetry"
)

// change ends the epoch e with a change to state, unless it has ended already. It reports
// whether it did.
func (b *Breaker) change(ctx context.Context, e *epoch, state State, failedProbes int, reason Reason) bool {
	now := b.now()
	next := b.newEpoch(state, failedProbes, now)
	c := Change{Name: b.name, From: e.state, To: state, Reason: reason, OpenFor: next.openFor}
	if !b.replace(e, next, &c, now) {
		return false
	}
	if c.From != c.To {
		b.tel.StateChanged(ctx, telemetry.BreakerChange{ // now, as the span of the call may end soon
			From: c.From.String(), To: c.To.String(), Reason: string(c.Reason),
			Calls: c.Counts.Calls, Failures: c.Counts.Failures, Slow: c.Counts.Slow, OpenFor: c.OpenFor,
		})
		b.report()
	}
	return true
}

// replace puts next in the place of e, and completes the change.
func (b *Breaker) replace(e, next *epoch, c *Change, now time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.current.Load() != e {
		return false
	}
	b.current.Store(next)
	c.Counts = e.counts(now)
	if c.From != c.To && b.onChange != nil {
		b.changes = append(b.changes, *c)
	}
	return true
}

// report tells the user's function of the changes that nobody has told it of. If somebody is
// at it, that one goes on with ours, so that they are told in their order and one at a time.
func (b *Breaker) report() {
	if !b.startReporting() {
		return
	}
	finished := false
	defer func() {
		if !finished { // the function panicked, which is no reason to keep the others back
			b.stopReporting()
			b.report()
		}
	}()
	for {
		c, ok := b.nextChange()
		if !ok {
			finished = true
			return
		}
		b.onChange(c)
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

// nextChange returns the next change to tell of. If there is none the reporting is over, at
// once with the look, so that no change is left to nobody.
func (b *Breaker) nextChange() (Change, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.changes) == 0 {
		b.reporting = false
		return Change{}, false
	}
	c := b.changes[0]
	b.changes = b.changes[1:]
	return c, true
}

func (b *Breaker) stopReporting() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reporting = false
}
