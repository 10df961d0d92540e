package bulkhead

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// A Bulkhead bounds how many calls are under way at a time. A call takes a slot when it
// begins and gives it back when it ends, also by a panic. Beyond the limit calls wait, if
// [WithQueue] allows it, or are refused with a [*FullError].
//
// Whoever waits is served in the order of coming, and no call that comes later passes
// those who wait. A call that finds a free slot takes no lock and allocates nothing, and
// with a fixed limit it reads no clock.
//
// A Bulkhead is made by [New]: the zero value refuses every call. It is safe for use by
// several goroutines at once. A nil *Bulkhead bounds nothing.
type Bulkhead struct {
	name      string
	clock     clock.Clock
	maxQueued int
	maxWait   time.Duration
	adaptive  *adaptive // nil if the limit is fixed
	tel       *telemetry.Guard

	_ [64]byte // what follows is written to, what stands above is not

	word word

	mu    sync.Mutex // guards what follows, and the word while calls wait
	queue queue
	pace  pace
}

var _ resilience.Part = (*Bulkhead)(nil)

// New returns a bulkhead that lets limit calls be under way at a time, 1 to [MaxLimit].
// The name identifies it in telemetry and in errors. Without options nobody waits.
func New(name string, limit int, opts ...Option) (*Bulkhead, error) {
	var s settings
	for _, opt := range opts {
		if opt != nil {
			opt(&s)
		}
	}
	if err := s.validate(name, limit); err != nil {
		return nil, err
	}
	b := &Bulkhead{name: name, clock: s.clock, maxQueued: s.queue, maxWait: s.maxWait}
	if b.maxWait == 0 {
		b.maxWait = -1 // no limit in time, to a clock.Signal
	}
	if s.algorithm != nil {
		b.adaptive = newAdaptive(s.algorithm, limit)
	}
	b.word.Store(uint64(newState(limit)))
	if err := b.settle(s.telemetry); err != nil {
		return nil, fmt.Errorf("bulkhead: %q: %w", name, err)
	}
	return b, nil
}

// settle takes what a bulkhead shares with others, the last step of [New]: its algorithm
// and telemetry. If it fails it has taken nothing.
func (b *Bulkhead) settle(opts []telemetry.Option) error {
	var own ownAlgorithm
	if b.adaptive != nil {
		own = b.adaptive.own
	}
	if own != nil {
		if err := own.take(b.clock); err != nil {
			return err
		}
	}
	tel, err := telemetry.NewBulkhead(b.name, b.level, opts...)
	if err != nil && own != nil {
		own.giveBack()
	}
	b.tel = tel
	return err
}

// MustNew is [New] for package variables: it panics where New returns an error.
func MustNew(name string, limit int, opts ...Option) *Bulkhead {
	b, err := New(name, limit, opts...)
	if err != nil {
		panic(err)
	}
	return b
}

// SetLimit changes how many calls may be under way at a time, 1 to [MaxLimit]. A higher
// limit lets those in who wait. With a lower one the calls that are under way go on, and
// none begins until fewer than the limit are left. An adaptive limit goes on from n, which
// must be within the MinLimit and MaxLimit of a [Vegas] or [Gradient2].
func (b *Bulkhead) SetLimit(n int) error {
	if b == nil {
		return errNilBulkhead
	}
	err := validateLimit(n)
	switch {
	case err != nil:
	case b.adaptive != nil:
		err = b.adaptive.set(b, n)
	default:
		b.setLimit(n)
	}
	if err != nil {
		return fmt.Errorf("bulkhead: %q: %w", b.name, err)
	}
	return nil
}

// Name returns the name under which telemetry shows the bulkhead.
func (b *Bulkhead) Name() string {
	if b == nil {
		return ""
	}
	return b.name
}

// Limit returns how many calls may be under way at a time now.
func (b *Bulkhead) Limit() int { return b.level().Limit }

// Inflight returns how many calls are under way. It is above the limit for a while after
// the limit was lowered.
func (b *Bulkhead) Inflight() int { return b.level().Inflight }

// Queued returns how many calls wait for a slot.
func (b *Bulkhead) Queued() int { return b.level().Queued }

func (b *Bulkhead) level() telemetry.BulkheadLevel {
	if b == nil {
		return telemetry.BulkheadLevel{}
	}
	s := b.word.load()
	return telemetry.BulkheadLevel{Limit: s.limit(), Inflight: s.inflight(), Queued: s.waiting()}
}

// Describe implements [resilience.Part].
func (b *Bulkhead) Describe() resilience.Description {
	return resilience.Description{Kind: "bulkhead", Name: b.Name()}
}

// Warn implements [resilience.Part].
func (b *Bulkhead) Warn(ctx context.Context, p resilience.Problem) {
	if b != nil {
		b.tel.Warn(ctx, p.Reason, p.Detail)
	}
}
