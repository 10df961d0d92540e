package budgetredis

import (
	"context"
	"time"

	"github.com/observable-go/toolkit/internal/clock"
)

// An exchange is what the goroutine that talks to Redis knows.
type exchange struct {
	sequence int64
	pending  *request  // asked and not answered, or nil
	sending  bool      // the client has not returned yet
	latest   time.Time // when the latest request that was answered in time began
	server   int64     // Redis' clock in the latest answer, in microseconds
	heard    time.Time // when that came
	more     bool      // there may be more for a replica that asks again soon
	told     bool      // the first mode was told of
}

// wakesPerRefresh bounds how often withdrawals that find no token make a replica ask again.
const wakesPerRefresh = 10

// run exchanges at every refresh, with a first one of any length, so that replicas that start
// together do not come together. If a withdrawal finds no token it asks sooner, unless Redis
// has just had none to give, or is not there.
func (b *Budget) run(ctx context.Context) {
	var timer clock.Timer
	defer timer.Stop()
	spread := 1.0
	for ctx.Err() == nil {
		b.exchangeOnce(ctx)
		wait, soonest := shortened(b.settings.refresh, spread*clock.Random(b.clock)), b.settings.refresh/wakesPerRefresh
		spread = 0.1
		if !b.exchange.more {
			_ = timer.Wait(ctx, b.clock, wait)
			continue
		}
		if timer.Wait(ctx, b.clock, soonest) == nil {
			b.wake.Wait(ctx, max(wait-soonest, 0))
		}
	}
	b.leave()
}

// shortened returns d less a part of it.
func shortened(d time.Duration, part float64) time.Duration {
	return d - time.Duration(part*float64(d))
}

func (b *Budget) exchangeOnce(ctx context.Context) {
	e := &b.exchange
	if e.pending == nil {
		b.wake.Wait(ctx, 0)  // takes back what was set before
		b.woken.Store(false) // in this order: whoever saw it set counts in the demand of this request
		now := clock.Now(b.clock)
		if b.overdue(now) { // this process stood still
			b.forget(now)
		}
		e.pending = b.newRequest(now)
	}
	r := e.pending
	a := b.send(ctx, r)
	if ctx.Err() != nil && a.err != nil {
		return // Close did not wait for it
	}
	b.observe(&a)
	now := clock.Now(b.clock)
	e.more = false
	if a.err == nil {
		e.pending, e.server, e.heard = nil, a.server, now
		b.global.Store(a.global)
		b.full.Store(a.global >= int64(b.settings.burst))
		// It counts from the request on, not from the answer: Redis granted it in between.
		fresh := newLease(a.granted, r.began.Add(b.settings.lease))
		if !fresh.expired(now) {
			e.latest = r.began
			e.more = r.reserve > 0 || a.granted == r.wanted
			b.leases.Store(&leases{older: b.leases.Load().older, newer: fresh})
			b.enter(Shared, nil)
			return
		}
		a.err = errTooLate
	}
	if b.overdue(now) {
		b.part(a.err)
	}
}

// overdue reports whether the latest exchange began a lease ago or longer, by one of the clocks.
func (b *Budget) overdue(now time.Time) bool {
	return newLease(0, b.exchange.latest.Add(b.settings.lease)).expired(now)
}

// part leaves the shared mode after a lease without Redis.
func (b *Budget) part(why error) {
	b.enter(b.settings.without(), why)
	b.forget(clock.Now(b.clock))
}

// forget drops what is older than a lease. All tokens have expired then; reports are dropped
// too, as they would allow a burst to all replicas when Redis, or this process, is back.
func (b *Budget) forget(now time.Time) {
	b.leases.Load().drain(now)
	b.deposits.Store(0)
	b.returned.Store(0)
}

// leave gives everything back and lets Redis forget this replica, if Redis answers in time.
func (b *Budget) leave() {
	now := clock.Now(b.clock)
	shared := b.Mode() == Shared && !b.overdue(now)
	b.mode.Store(uint32(b.settings.without())) // without a word: it is the end of the budget, and no trouble
	if !shared {
		return // there is nothing that has not expired
	}
	ctx, cancel := clock.WithTimeoutCause(context.Background(), b.clock, b.settings.timeout, errExchangeTimeout)
	defer cancel()
	b.returned.Add(b.leases.Load().drain(now))
	if r := b.exchange.pending; r != nil {
		a := b.send(ctx, r)
		if a.err != nil {
			return // they are lost, which is safe
		}
		b.returned.Add(newLease(a.granted, r.began.Add(b.settings.lease)).drain(clock.Now(b.clock)))
	}
	last := b.numbered(now)
	last.leaving = true
	b.send(ctx, last)
}
