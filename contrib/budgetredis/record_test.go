package budgetredis_test

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/observable-go/toolkit/resilience"
)

// A kind is what happened to a budget.
type kind int

const (
	called kind = iota
	granted
	refunded
)

type event struct {
	at   time.Duration
	kind kind
}

// A record is all that happened to the budgets of a run.
type record struct {
	began  time.Time
	mu     sync.Mutex
	events []event
}

func newRecord() *record { return &record{began: time.Now()} }

// A diary is the part of one goroutine in a record, and hands on to a budget.
type diary struct {
	resilience.Budget
	record *record
	events []event
}

func (r *record) of(b resilience.Budget) *diary { return &diary{Budget: b, record: r} }

func (d *diary) note(k kind) { d.events = append(d.events, event{time.Since(d.record.began), k}) }

func (d *diary) Deposit() {
	d.note(called)
	d.Budget.Deposit()
}

func (d *diary) Withdraw() bool {
	ok := d.Budget.Withdraw()
	if ok {
		d.note(granted)
	}
	return ok
}

func (d *diary) Refund() {
	d.note(refunded)
	d.Budget.Refund()
}

// end adds the diary to the record.
func (d *diary) end() {
	d.record.mu.Lock()
	defer d.record.mu.Unlock()
	d.record.events = append(d.record.events, d.events...)
}

func (r *record) count(k kind) (n int) {
	for _, e := range r.events {
		if e.kind == k {
			n++
		}
	}
	return n
}

// A bound is what may be granted, less what is refunded, in a window of t seconds:
//
//	constant + rate*t + ratio * calls from `early` before the window on + refunds in `late` before it
type bound struct {
	constant, rate, ratio float64
	early, late           time.Duration
}

// tightest returns, over all windows that begin and end with a grant, the least that was
// left to the bound. It is below 0 if one window has more than the bound.
//
// A window's grants less its share of the bound are a difference of what only its end and
// what only its begin determine, so that the worst begin for every end is found in one pass.
func (r *record) tightest(b bound) float64 {
	slices.SortStableFunc(r.events, func(x, y event) int { return cmp.Compare(x.at, y.at) })
	var calls, refunds []time.Duration
	for _, e := range r.events {
		switch e.kind {
		case called:
			calls = append(calls, e.at)
		case refunded:
			refunds = append(refunds, e.at)
		case granted:
		}
	}
	net, seen := 0.0, 0.0 // grants less refunds, and calls, up to now
	before, past := 0, 0  // calls and refunds that are longer ago than early and late
	refundsSeen := 0
	least, worst := math.Inf(1), math.Inf(1)
	for _, e := range r.events {
		switch e.kind {
		case called:
			seen++
			continue
		case refunded:
			net--
			refundsSeen++
			continue
		case granted:
		}
		for before < len(calls) && calls[before] < e.at-b.early {
			before++
		}
		for past < len(refunds) && refunds[past] < e.at-b.late {
			past++
		}
		begin := net - b.rate*e.at.Seconds() - b.ratio*float64(before) - float64(refundsSeen-past)
		worst = min(worst, begin)
		net++
		end := net - b.rate*e.at.Seconds() - b.ratio*seen
		least = min(least, b.constant-(end-worst))
	}
	return least
}
