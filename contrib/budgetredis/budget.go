package budgetredis

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// A Budget is the share that this process has in a retry budget of all replicas. Everything
// else is as of a budget.Budget: it never blocks, and a decision never waits for Redis. It
// is safe for use by several goroutines at once. A nil *Budget grants nothing.
type Budget struct {
	name     string
	settings settings
	client   redis.Scripter
	key      string
	id       string
	clock    clock.Clock
	tel      *telemetry.Budget
	shared   *telemetry.Guard

	wake     clock.Signal // a withdrawal found no token
	arrived  clock.Signal // answered is set
	answered atomic.Pointer[answer]
	stop     context.CancelFunc
	done     chan struct{}
	exchange exchange // of the goroutine that exchanges

	mode   atomic.Uint32 // a Mode
	full   atomic.Bool   // the shared bucket was full: deposits add nothing
	woken  atomic.Bool   // wake is set, which costs more than to look here
	global atomic.Int64  // tokens in the shared bucket at the latest exchange
	leases atomic.Pointer[leases]

	_ [64]byte // what follows is written to by every call, what stands above is not

	deposits atomic.Int64 // calls to report
	returned atomic.Int64 // tokens to give back
	demand   atomic.Int64 // withdrawals since the latest request
	local    atomic.Int64 // withdrawals from the local budget less refunds to it
}

var _ resilience.Budget = (*Budget)(nil)

// New returns this process's share in the budget of that name, which all budgets with that
// name and the same Redis share. It does not connect: until the first exchange with Redis it
// is in the mode for a Redis that is not there. It is to be closed.
func New(client redis.Scripter, name string, opts ...Option) (*Budget, error) {
	s := defaults()
	for _, opt := range opts {
		if opt != nil {
			opt(&s)
		}
	}
	s.complete()
	if err := s.validate(client, name); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	b := &Budget{
		name: name, settings: s, client: client, key: s.prefix + "{" + name + "}", id: rand.Text(),
		clock: s.clock, wake: clock.NewSignal(s.clock), arrived: clock.NewSignal(s.clock), stop: stop, done: make(chan struct{}),
	}
	b.leases.Store(&leases{})
	b.mode.Store(uint32(s.without()))
	tel, err := telemetry.NewBudget(name, b.observedLevel, s.telemetry...)
	if err == nil {
		b.tel = tel
		b.shared, err = telemetry.NewSharedBudget(name, b.sharedLevel, s.telemetry...)
	}
	if err != nil {
		stop()
		return nil, fmt.Errorf("budgetredis: %q: %w", name, err)
	}
	clock.Go(s.clock, func() {
		defer close(b.done)
		b.run(ctx)
	})
	return b, nil
}

// Close gives unspent tokens back and ends the exchanges. Afterwards the budget is in the
// mode for a Redis that is not there. It waits for Redis for twice the timeout of an exchange
// at most, may be called several times, and always returns nil. It does not close the client.
func (b *Budget) Close() error {
	if b == nil {
		return nil
	}
	b.stop()
	<-b.done
	return nil
}

// Deposit notes a call that is about to be sent. While Redis is not there it adds nothing to
// the shared budget.
func (b *Budget) Deposit() {
	if b == nil {
		return
	}
	switch b.Mode() {
	case Local:
		b.settings.local.Deposit()
	case Shared:
		if b.settings.ratio > 0 && !b.full.Load() {
			b.deposits.Add(1)
		}
	case Closed:
	}
}

// Withdraw asks for one retry and reports whether it was granted.
func (b *Budget) Withdraw() bool {
	if b == nil {
		return false
	}
	if b.withdraw() {
		b.tel.Granted()
		return true
	}
	b.tel.Denied()
	return false
}

func (b *Budget) withdraw() bool {
	switch b.Mode() {
	case Local:
		if !b.settings.local.Withdraw() {
			return false
		}
		b.local.Add(1)
		return true
	case Shared:
		if b.demand.Load() < int64(b.settings.batch) { // more makes no difference
			b.demand.Add(1)
		}
		held := b.leases.Load()
		if !held.empty() && held.take(clock.Now(b.clock)) { // the clock is read only for a token
			return true
		}
		if !b.woken.Load() {
			b.woken.Store(true)
			b.wake.Set()
		}
	case Closed:
	}
	return false
}

// Refund gives back a granted retry that was never sent, to the budget that decides now. The
// local one gets back no more than it granted. While the budget is closed there is nothing to
// give it back to: it is lost.
func (b *Budget) Refund() {
	if b == nil {
		return
	}
	b.tel.Refunded()
	switch b.Mode() {
	case Local:
		for n := b.local.Load(); n > 0; n = b.local.Load() {
			if b.local.CompareAndSwap(n, n-1) {
				b.settings.local.Refund()
				return
			}
		}
	case Shared:
		b.returned.Add(1)
	case Closed:
	}
}

// Name returns the name of the budget.
func (b *Budget) Name() string {
	if b == nil {
		return ""
	}
	return b.name
}

// Mode returns where the budget decides now.
func (b *Budget) Mode() Mode {
	if b == nil {
		return Closed
	}
	return Mode(b.mode.Load()) //nolint:gosec // only modes are stored
}

// Tokens returns how many retries this process can grant now without asking Redis.
func (b *Budget) Tokens() float64 {
	tokens, _ := b.level()
	return tokens
}

// Capacity returns how many retries this process can grant without asking Redis at most: the
// batch, or the burst of the local budget while that decides.
func (b *Budget) Capacity() float64 {
	_, capacity := b.level()
	return capacity
}

func (b *Budget) level() (tokens, capacity float64) {
	switch {
	case b == nil:
		return 0, 0
	case b.Mode() == Local:
		return b.settings.local.Tokens(), b.settings.local.Capacity()
	}
	return float64(b.leases.Load().left(clock.Now(b.clock))), float64(b.settings.batch)
}
