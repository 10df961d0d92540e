package hedge

import (
	"context"
	"fmt"
	"time"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// A Hedge starts further copies of operations that take long, and takes the first result.
// Make one for each operation of a callee, keep it, and share it: its delay is that of one
// kind of request. It is safe for use by several goroutines at once.
//
// A Hedge is made by [New]. The zero value and a nil *Hedge run an operation once.
//
// It is no [resilience.Policy], as copies that run at the same time must not share the
// variables by which a Policy's operation hands out its value. Use [DoValue], or [Wrap] to
// put it inside of a policy.
type Hedge struct {
	name     string
	copies   int
	fixed    time.Duration
	adaptive *adaptiveDelay // in place of fixed, or nil
	credit   *credit        // nil with a fixed delay
	budget   resilience.Budget
	deposits bool
	rules    resilience.Rules
	clock    clock.Clock
	tel      *telemetry.Guard
}

// New returns a hedge. The name identifies it in telemetry. Without options it starts a
// second copy of what is slower than 95 % of the calls.
func New(name string, opts ...Option) (*Hedge, error) {
	s := settings{copies: DefaultMaxCopies, share: DefaultShare, lo: DefaultLowest, hi: DefaultHighest}
	for _, opt := range opts {
		if opt != nil {
			opt(&s)
		}
	}
	if err := s.validate(name); err != nil {
		return nil, err
	}
	h := &Hedge{
		name: name, copies: s.copies, fixed: s.delay, budget: s.budget, deposits: s.deposits, rules: s.rules, clock: s.clock,
	}
	if !s.fixed {
		h.adaptive = newAdaptiveDelay(s.share, s.lo, s.hi)
		h.credit = newCredit(s.share)
	}
	tel, err := telemetry.NewHedge(name, h.Delay, s.telemetry...)
	if err != nil {
		return nil, fmt.Errorf("hedge: %q: %w", name, err)
	}
	h.tel = tel
	return h, nil
}

// MustNew is [New] for package variables: it panics where New returns an error.
func MustNew(name string, opts ...Option) *Hedge {
	h, err := New(name, opts...)
	if err != nil {
		panic(err)
	}
	return h
}

// Name returns the name under which telemetry shows the hedge.
func (h *Hedge) Name() string {
	if h == nil {
		return ""
	}
	return h.name
}

// Delay returns the delay in force before each further copy. It is 0 for a nil *Hedge.
func (h *Hedge) Delay() time.Duration {
	switch {
	case h == nil:
		return 0
	case h.adaptive != nil:
		return h.adaptive.current()
	}
	return h.fixed
}

// deposit tells the budget of a call, if that is the hedge's to do.
func (h *Hedge) deposit(ctx context.Context) {
	if h.deposits && resilience.AttemptFrom(ctx) == nil {
		h.budget.Deposit()
	}
}

// withdraw asks for a further copy: the share first, as a denial by the budget counts there.
func (h *Hedge) withdraw() bool {
	if !h.credit.take() {
		return false
	}
	if h.budget != nil && !h.budget.Withdraw() {
		h.credit.giveBack()
		return false
	}
	return true
}

// refund gives back a further copy that was granted and not sent.
func (h *Hedge) refund() {
	h.credit.giveBack()
	if h.budget != nil {
		h.budget.Refund()
	}
}

// refundUnsent gives back to the budget a further copy that a policy inside of it rejected, or
// that left its queue: the callee was not asked. The share of the hedge has been used all the
// same.
func (h *Hedge) refundUnsent() {
	if h.budget != nil {
		h.budget.Refund()
	}
}

// conclusive reports whether the result of a copy ends the call, whatever the others do. It
// goes by what the callee said: what a policy inside of the copy says of repeating it does
// not concern the copies that run already.
func (h *Hedge) conclusive(err error) bool {
	if err == nil {
		return true
	}
	failure, asked := resilience.CalleeError(err)
	return asked && h.rules.Classify(failure) == resilience.ClassPermanent
}
