package budget

import (
	"fmt"
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// token is one retry in the fixed point in which a budget counts: micro-tokens.
const token = 1_000_000

// A Budget is a token bucket that caps the retries of everything that shares it. A
// call deposits the ratio, a retry withdraws one token, the floor drips in with time,
// and the burst bounds what is kept. In every window of t seconds
//
//	retries granted - refunded <= burst + floor * t + ratio * calls
//
// whatever the interleaving of the goroutines that use it. A retry is granted before
// its wait, so for the retries that are sent the window grows by the longest wait. A
// new Budget is full.
//
// It never blocks and takes no lock. It is safe for use by several goroutines at
// once. A nil *Budget grants nothing.
type Budget struct {
	name     string
	capacity int64 // micro-tokens
	ratio    int64 // micro-tokens a call
	floor    int64 // micro-tokens a second

	clock clock.Clock
	epoch time.Time
	tel   *telemetry.Budget

	_ [64]byte // what follows is written to, what stands above is not

	// The balance at a time t is stored + drip(t), clamped to the capacity; drip(t) is
	// what dripped in from the epoch to t. Keeping the difference makes the balance
	// grow by itself, in one word that is never written for the passing of time.
	// Between two withdrawals the balance only grows, so clamping it at withdrawals
	// alone is the same as clamping it always.
	stored atomic.Int64
	// dripped is drip at some earlier time. Deposits take it for drip of now, so that
	// they need not read the clock: they may take a full bucket for one that is not,
	// which the next withdrawal clamps, but never the other way round.
	dripped atomic.Int64
}

var _ resilience.Budget = (*Budget)(nil)

// New returns a full budget. In a test under testing/synctest it is to be made inside the
// bubble, whose clock is another. The name identifies it in telemetry. Without options it
// allows one retry for ten calls, one more each second, and a burst of 100.
func New(name string, opts ...Option) (*Budget, error) {
	s := settings{ratio: DefaultRatio, floor: DefaultFloor, burst: DefaultBurst}
	for _, opt := range opts {
		if opt != nil {
			opt(&s)
		}
	}
	if err := s.validate(name); err != nil {
		return nil, err
	}
	b := &Budget{
		name:     name,
		capacity: int64(s.burst) * token,
		ratio:    int64(s.ratio*token + 0.5),
		floor:    int64(s.floor*token + 0.5),
		clock:    s.clock,
		epoch:    clock.Now(s.clock),
	}
	b.stored.Store(b.capacity)
	tel, err := telemetry.NewBudget(name, b.level, s.telemetry...)
	if err != nil {
		return nil, fmt.Errorf("budget: %q: %w", name, err)
	}
	b.tel = tel
	return b, nil
}

// MustNew is [New] for package variables: it panics where New returns an error.
func MustNew(name string, opts ...Option) *Budget {
	b, err := New(name, opts...)
	if err != nil {
		panic(err)
	}
	return b
}

// Deposit notes a call that is about to be sent: it adds the ratio. It reads no
// clock, and writes nothing if the bucket was full at the last withdrawal.
func (b *Budget) Deposit() {
	if b == nil || b.ratio == 0 {
		return
	}
	if b.stored.Load()+b.dripped.Load() < b.capacity {
		b.stored.Add(b.ratio)
	}
}

// Withdraw asks for one retry and reports whether it was granted.
func (b *Budget) Withdraw() bool {
	if b == nil {
		return false
	}
	drip := b.drip()
	for {
		stored := b.stored.Load()
		balance := min(stored+drip, b.capacity)
		if balance < token {
			b.tel.Denied()
			return false
		}
		if b.stored.CompareAndSwap(stored, balance-token-drip) {
			b.dripped.Store(drip)
			b.tel.Granted()
			return true
		}
	}
}

// Refund gives back a granted retry that was never sent.
func (b *Budget) Refund() {
	if b == nil {
		return
	}
	b.stored.Add(token)
	b.tel.Refunded()
}

// Name returns the name under which telemetry shows the budget.
func (b *Budget) Name() string {
	if b == nil {
		return ""
	}
	return b.name
}

// Tokens returns how many retries the budget holds now, in fractions of a retry.
func (b *Budget) Tokens() float64 {
	tokens, _ := b.level()
	return tokens
}

// Capacity returns how many retries a full budget holds: the burst.
func (b *Budget) Capacity() float64 {
	_, capacity := b.level()
	return capacity
}

func (b *Budget) level() (tokens, capacity float64) {
	if b == nil {
		return 0, 0
	}
	balance := min(b.stored.Load()+b.drip(), b.capacity)
	return float64(max(balance, 0)) / token, float64(b.capacity) / token
}

// drip returns how many micro-tokens the floor has given since the epoch. The floor
// is at most 1e10 micro-tokens a second, so 63 bits last for 29 years.
func (b *Budget) drip() int64 {
	if b.floor == 0 {
		return 0
	}
	elapsed := max(clock.Since(b.clock, b.epoch), 0)
	hi, lo := bits.Mul64(uint64(elapsed), uint64(b.floor))
	drip, _ := bits.Div64(hi, lo, uint64(time.Second))
	return int64(drip)
}
