package budgetredis_test

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/observable-go/toolkit/resilience"
)

// A kind is what happened to a budget.
type kind int

const (
	called kind = iota
	granted
	refunded
)

// An event happened at some time between two readings of the clock. They are far apart if the
// goroutine or its process stood still in between.
type event struct {
	kind     kind
	from, to time.Duration
}

// A record is all that happened to the budgets of a run.
type record struct {
	began  time.Time
	grants atomic.Int64 // so far
	mu     sync.Mutex
	events []event
}

func newRecord() *record { return &record{began: time.Now()} }

// A diary is the part of one goroutine in a record, and hands on to a budget.
type diary struct {
	resilience.Budget
	record *record
	events []event
	told   func(event) // is told of each event at once, if not nil
}

func (r *record) of(b resilience.Budget) *diary { return &diary{Budget: b, record: r} }

func (r *record) now() time.Duration { return time.Since(r.began) }

func (d *diary) note(k kind, from time.Duration) {
	e := event{k, from, d.record.now()}
	d.events = append(d.events, e)
	if d.told != nil {
		d.told(e)
	}
}

func (d *diary) Deposit() {
	from := d.record.now()
	d.Budget.Deposit()
	d.note(called, from)
}

func (d *diary) Withdraw() bool {
	from := d.record.now()
	ok := d.Budget.Withdraw()
	if ok {
		d.record.grants.Add(1)
		d.note(granted, from)
	}
	return ok
}

func (d *diary) Refund() {
	from := d.record.now()
	d.Budget.Refund()
	d.note(refunded, from)
}

// end adds the diary to the record.
func (d *diary) end() { d.record.add(d.events) }

func (r *record) add(events []event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, events...)
}

func (r *record) only(k kind) []event {
	return slices.DeleteFunc(slices.Clone(r.events), func(e event) bool { return e.kind != k })
}

func (r *record) count(k kind) int { return len(r.only(k)) }

// A bound is what may be granted, less what is refunded, in a window of t seconds:
//
//	constant + rate*t + ratio * calls from `early` before the window on + refunds in `late` before it
type bound struct {
	constant, rate, ratio float64
	early, late           time.Duration
}

// tightest returns, over all windows, the least that was left to the bound. It is below 0 if
// one window has more than the bound.
//
// A grant counts if it was surely in the window, and a call or a refund if it may have been in
// time. So a window that has more than the bound is never one that only seems to, however long
// something stood still, and no slack is needed for that. The windows that matter begin
// with a grant and end with one.
func (r *record) tightest(b bound) float64 {
	calls, refunds, grants := timesOf(r.only(called)), timesOf(r.only(refunded)), r.only(granted)
	slices.SortFunc(grants, func(x, y event) int { return int(x.to - y.to) })
	allowed := make([]float64, len(grants)) // from the begin of the run to the end of a window
	for i, g := range grants {
		allowed[i] = b.constant + b.rate*g.to.Seconds() + b.ratio*float64(until(calls.from, g.to)) + float64(until(refunds.from, g.to))
	}
	least := math.Inf(1)
	for _, first := range grants {
		before := b.rate*first.from.Seconds() +
			b.ratio*float64(until(calls.to, first.from-b.early-1)) + float64(until(refunds.to, first.from-b.late-1))
		inside := 0.0
		for i, g := range grants {
			if g.from < first.from {
				continue
			}
			inside++
			least = min(least, allowed[i]-before-inside)
		}
	}
	return least
}

// times are the readings before and after events, each in order.
type times struct{ from, to []time.Duration }

func timesOf(events []event) (t times) {
	for _, e := range events {
		t.from, t.to = append(t.from, e.from), append(t.to, e.to)
	}
	slices.Sort(t.from)
	slices.Sort(t.to)
	return t
}

// until returns how many of the sorted times are no later than t.
func until(sorted []time.Duration, t time.Duration) int {
	n, _ := slices.BinarySearch(sorted, t+1)
	return n
}

// What checks the bound must find a window that has more than it.
func TestTightestWindow(t *testing.T) {
	t.Parallel()
	const s = time.Second
	at := func(k kind, moments ...time.Duration) (events []event) {
		for _, m := range moments {
			events = append(events, event{k, m, m})
		}
		return events
	}
	b := bound{constant: 2, rate: 1, ratio: 0.5, early: s, late: 2 * s}
	for name, c := range map[string]struct {
		left   float64
		events []event
	}{
		"at once":                        {-1, at(granted, 9*s, 9*s, 9*s)},
		"one by one":                     {1, at(granted, 1*s, 2*s, 3*s, 4*s)},
		"many among few":                 {-2, at(granted, 1*s, 7*s, 8*s, 8*s, 8*s, 9*s, 9*s, 20*s)},
		"calls just in time":             {0, slices.Concat(at(called, 8*s, 9*s), at(granted, 9*s, 9*s, 9*s))},
		"calls too early":                {-1, slices.Concat(at(called, 8*s-1, 8*s-1), at(granted, 9*s, 9*s, 9*s))},
		"calls too late":                 {-1, slices.Concat(at(called, 9*s+1, 9*s+1), at(granted, 9*s, 9*s, 9*s))},
		"a refund just in time":          {0, slices.Concat(at(refunded, 7*s), at(granted, 9*s, 9*s, 9*s))},
		"a refund too early":             {-1, slices.Concat(at(refunded, 7*s-1), at(granted, 9*s, 9*s, 9*s))},
		"a grant that may be elsewhere":  {0, append(at(granted, 9*s, 9*s), event{granted, 8*s + 500*ms, 9*s + 500*ms})},
		"a call that may be in time":     {-0.5, append(at(granted, 9*s, 9*s, 9*s), event{called, 2 * s, 8 * s})},
		"a refund that may be in window": {0, append(at(granted, 9*s, 9*s, 9*s), event{refunded, 2 * s, 20 * s})},
	} {
		assert.InDelta(t, c.left, (&record{events: c.events}).tightest(b), 1e-9, name)
	}
}
