package breaker

import (
	"context"
	"time"

	"github.com/observable-go/toolkit/internal/ctxerr"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// A Permit is a call that a breaker let pass. Exactly one of Done and Ignore must be called
// when the call has ended; what comes after that does nothing. It must not be copied.
type Permit struct {
	breaker *Breaker // nil: nothing is to be noted
	epoch   *epoch
	ctx     context.Context
	began   time.Duration // if the breaker times calls
}

// Allow asks whether a call may pass: it returns a Permit, or an [*OpenError]. It is for
// calls that are no function, such as streams; all others have [DoValue]. With a context
// that is done it returns that one's error, and no call is to be made.
//
//	permit, err := b.Allow(ctx)
//	if err != nil {
//		return err
//	}
//	err = call(ctx)
//	permit.Done(err)
func (b *Breaker) Allow(ctx context.Context) (Permit, error) {
	switch {
	case b == nil:
		return Permit{}, nil
	case ctx == nil:
		return Permit{}, errNoContext
	case ctx.Err() != nil:
		b.tel.Count(telemetry.ResultIgnored)
		return Permit{}, ctxerr.NotSent(ctx, b.name, "before the call")
	}
	e := b.current.Load()
	if e.state == Closed {
		return b.permit(ctx, e), nil
	}
	return b.allow(ctx, e)
}

func (b *Breaker) permit(ctx context.Context, e *epoch) Permit {
	p := Permit{breaker: b, epoch: e, ctx: ctx}
	if b.timesCalls {
		p.began = b.now()
	}
	return p
}

// allow is Allow for a breaker that is not closed.
func (b *Breaker) allow(ctx context.Context, e *epoch) (Permit, error) {
	for ; ; e = b.current.Load() {
		switch e.state {
		case Closed:
			return b.permit(ctx, e), nil
		case Disabled:
			return Permit{}, nil
		case ForcedOpen:
			return Permit{}, b.reject(ctx, ForcedOpen, 0)
		case Open:
			if now := b.now(); now < e.until {
				return Permit{}, b.reject(ctx, Open, e.until-now)
			}
			b.change(ctx, e, HalfOpen, e.failedProbes, ReasonOpenTimePassed)
		case HalfOpen:
			now := b.now()
			if e.halfOpen.takeProbe(now, int64(b.probes)) {
				return b.permit(ctx, e), nil
			}
			if !b.hangs(e, now) {
				return Permit{}, b.reject(ctx, HalfOpen, e.ifItFails)
			}
			b.change(ctx, e, Open, e.failedProbes+1, ReasonProbeTimeout)
		}
	}
}

// hangs reports whether the probes of a half-open breaker have not ended in time.
func (b *Breaker) hangs(e *epoch, now time.Duration) bool {
	return b.probeTimeout > 0 && e.halfOpen.probes.Load() >= int64(b.probes) &&
		now-time.Duration(e.halfOpen.last.Load()) >= b.probeTimeout
}

func (b *Breaker) reject(ctx context.Context, state State, after time.Duration) error {
	b.tel.Rejected(ctx, telemetry.Rejection{Reason: state.String(), RetryAfter: after})
	return &OpenError{Name: b.name, State: state, After: after}
}

// Done notes that the call ended with err.
func (p *Permit) Done(err error) {
	if b := p.breaker; b != nil {
		b.settle(p, b.judge(p.ctx, err))
	}
}

// Ignore notes that the call came to nothing that the breaker should know of.
func (p *Permit) Ignore() {
	if b := p.breaker; b != nil {
		b.settle(p, telemetry.ResultIgnored)
	}
}

// panicked notes that the call did not return.
func (p *Permit) panicked() {
	if b := p.breaker; b != nil {
		b.settle(p, telemetry.ResultFailure)
	}
}

// settle counts the result of a call, which decides on the state. It is the end of the
// permit.
func (b *Breaker) settle(p *Permit, result telemetry.Result) {
	call := *p
	*p = Permit{}
	b.tel.Count(result)
	if b.current.Load() != call.epoch {
		return // the call is of an earlier time
	}
	var now time.Duration
	if b.readsClock {
		now = b.now()
	}
	failed := result == telemetry.ResultFailure
	slow := b.timesCalls && now-call.began >= b.slowThreshold
	switch {
	case call.epoch.state == HalfOpen:
		b.settleProbe(&call, result, slow)
	case result != telemetry.ResultIgnored:
		b.settleCall(&call, now, failed, slow)
	}
}

// settleCall counts the result of a call that a closed breaker let pass.
func (b *Breaker) settleCall(call *Permit, now time.Duration, failed, slow bool) {
	closed := &call.epoch.closed
	closed.add(now, failed, slow)
	if b.countWindow == 0 && closed.outlived(now, b.timeWindow) {
		return
	}
	if b.tripped(closed.counts(now)) == "" {
		return
	}
	if reason := b.tripped(closed.recount(now)); reason != "" {
		b.change(call.ctx, call.epoch, Open, 0, reason)
	}
}

// outlived reports whether all trouble is longer ago than the window is long.
func (c *closedEpoch) outlived(now, window time.Duration) bool {
	troubled := c.troubled.Load()
	return troubled == never || now-time.Duration(troubled) > window
}

// tripped returns why a closed breaker with these counts is to open, or "".
func (b *Breaker) tripped(c Counts) Reason {
	enough := c.Calls >= int64(b.minCalls)
	switch {
	case b.consecutive > 0 && c.ConsecutiveFailures >= int64(b.consecutive):
		return ReasonConsecutiveFailures
	case b.failureRatio > 0 && enough && c.FailureRatio() >= b.failureRatio:
		return ReasonFailureRatio
	case b.slowRatio > 0 && enough && c.SlowRatio() >= b.slowRatio:
		return ReasonSlowRatio
	}
	return ""
}

// settleProbe counts the result of a probe.
func (b *Breaker) settleProbe(call *Permit, result telemetry.Result, slow bool) {
	e, h := call.epoch, &call.epoch.halfOpen
	if slow && result != telemetry.ResultIgnored {
		h.slow.Add(1)
	}
	switch {
	case result == telemetry.ResultIgnored:
		h.probes.Add(-1)
	case result == telemetry.ResultFailure:
		h.failed.Add(1)
		b.change(call.ctx, e, Open, e.failedProbes+1, ReasonProbeFailed)
	case slow:
		h.succeeded.Add(1) // but it took too long
		b.change(call.ctx, e, Open, e.failedProbes+1, ReasonProbeFailed)
	case h.succeeded.Add(1) == int64(b.probes):
		b.change(call.ctx, e, Closed, 0, ReasonProbesSucceeded)
	}
}
