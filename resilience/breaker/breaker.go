package breaker

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// A Breaker is a circuit breaker, made by [New]. It is safe for use by several goroutines at once; a
// closed one takes no lock. A nil *Breaker lets every call pass.
type Breaker struct {
	settings
	name  string
	tel   *telemetry.Guard // nil if off
	began time.Time
	// What a call has to note beyond its result.
	timesCalls bool // how long it took
	readsClock bool // when it ended

	current atomic.Pointer[epoch]

	mu        sync.Mutex // held to change the state, never during a call or a report
	changes   []Change   // that the user's function is to be told of
	reporting bool       // somebody is telling of them
}

var _ resilience.Part = (*Breaker)(nil)

// New returns a closed breaker. The name identifies it in telemetry. In a test under
// testing/synctest it is to be made inside the bubble, whose clock is another.
func New(name string, opts ...Option) (*Breaker, error) {
	if err := telemetry.ValidateName(name); err != nil {
		return nil, fmt.Errorf("breaker: %w", err)
	}
	b := &Breaker{name: name, settings: settings{
		timeWindow:   DefaultTimeWindow,
		openTime:     DefaultOpenTime,
		probes:       DefaultProbes,
		probeTimeout: DefaultProbeTimeout,
		rules:        resilience.Rules{Unknown: resilience.ClassRetryable},
	}}
	for _, opt := range opts {
		if opt != nil {
			opt(&b.settings)
		}
	}
	if err := b.complete(); err != nil {
		return nil, fmt.Errorf("breaker: %q: %w", name, err)
	}
	b.began = clock.Now(b.clock)
	b.timesCalls = b.slowThreshold > 0
	b.readsClock = b.timesCalls || b.countWindow == 0
	b.current.Store(b.newEpoch(Closed, 0, 0))
	tel, err := telemetry.NewBreaker(name, b.level, b.telemetry...)
	if err != nil {
		return nil, fmt.Errorf("breaker: %q: %w", name, err)
	}
	b.tel = tel
	return b, nil
}

// MustNew is [New] for package variables: it panics where New returns an error.
func MustNew(name string, opts ...Option) *Breaker {
	b, err := New(name, opts...)
	if err != nil {
		panic(err)
	}
	return b
}

// Do implements [resilience.Policy]. Use [DoValue] for operations with a value.
func (b *Breaker) Do(ctx context.Context, op resilience.Operation) error {
	if op == nil {
		return errNoOperation
	}
	_, err := DoValue(ctx, b, func(ctx context.Context) (struct{}, error) { return struct{}{}, op(ctx) })
	return err
}

// DoValue runs op unless b rejects it with an [*OpenError], and returns what op returns.
func DoValue[T any](ctx context.Context, b *Breaker, op func(context.Context) (T, error)) (value T, err error) {
	switch {
	case op == nil:
		return value, errNoOperation
	case b == nil:
		return op(ctx)
	}
	permit, err := b.Allow(ctx)
	if err != nil {
		return value, err
	}
	defer permit.panicked() // which does nothing after Done
	value, err = op(ctx)
	permit.Done(err)
	return value, err
}

// Name returns the name under which telemetry shows the breaker.
func (b *Breaker) Name() string {
	if b == nil {
		return ""
	}
	return b.name
}

// State returns the state that the next call would find: a breaker whose open time has
// passed is HalfOpen, and one whose probes have not ended in time is Open. A nil *Breaker is Disabled.
func (b *Breaker) State() State {
	if b == nil {
		return Disabled
	}
	e := b.current.Load()
	switch {
	case e.state == Open && b.now() >= e.until:
		return HalfOpen
	case e.state == HalfOpen && b.hangs(e, b.now()):
		return Open
	}
	return e.state
}

// Counts returns what the breaker has counted in its state.
func (b *Breaker) Counts() Counts {
	if b == nil {
		return Counts{}
	}
	return b.current.Load().counts(b.now())
}

// ForceOpen rejects all calls until Reset.
func (b *Breaker) ForceOpen() { b.force(ForcedOpen) }

// Disable lets all calls pass, and counts none, until Reset.
func (b *Breaker) Disable() { b.force(Disabled) }

// Reset closes the breaker and forgets what it has counted.
func (b *Breaker) Reset() { b.force(Closed) }

func (b *Breaker) force(state State) {
	if b == nil {
		return
	}
	for {
		e := b.current.Load()
		if e.state == state && state != Closed {
			return
		}
		if b.change(context.Background(), e, state, 0, ReasonForced) {
			return
		}
	}
}

// Describe implements [resilience.Part].
func (b *Breaker) Describe() resilience.Description {
	return resilience.Description{Kind: "breaker", Name: b.Name()}
}

// Warn implements [resilience.Part].
func (b *Breaker) Warn(ctx context.Context, p resilience.Problem) {
	if b != nil {
		b.tel.Warn(ctx, p.Reason, p.Detail)
	}
}

// now returns the time since the breaker was made.
func (b *Breaker) now() time.Duration { return clock.Since(b.clock, b.began) }

// openTime returns how long the breaker stays open after its probes failed that many times
// in a row.
func (b *Breaker) openTime(failedProbes int) time.Duration {
	return max(b.openBackoff.Delay(failedProbes, 0, clock.Random(b.clock)), 1)
}

func (b *Breaker) level() telemetry.BreakerLevel {
	counts := b.Counts()
	return telemetry.BreakerLevel{State: b.State().String(), FailureRatio: counts.FailureRatio(), SlowRatio: counts.SlowRatio()}
}
