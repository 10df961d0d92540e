package telemetry

import (
	"math"

	"go.opentelemetry.io/otel/metric"
)

// A BudgetLevel tells what a budget holds, in tokens: what it would grant now and
// what it grants when full. NaN is unknown.
type BudgetLevel func() (tokens, capacity float64)

// Budget emits the signals of one retry budget. A nil *Budget emits nothing. It is
// safe for use by several goroutines at once.
type Budget struct{ cells *budgetCells }

// NewBudget returns the signals of the budget of that name. The level is read
// whenever metrics are collected; among budgets of one name that of the newest is.
func NewBudget(name string, level BudgetLevel, opts ...Option) (*Budget, error) {
	s, err := apply(opts)
	if err != nil || s.off {
		return nil, err
	}
	cells, _ := registryOf(s.meters()).budgets.get(name)
	if cells.name == name { // and not one of many without cells of their own
		cells.level.Store(newLevel(level))
	}
	return &Budget{cells}, nil
}

// Granted counts a withdrawal that was granted.
func (b *Budget) Granted() {
	if b == nil {
		return
	}
	b.cells.granted.Add(1)
	if also := b.cells.also; also != nil {
		also.granted.Add(1)
	}
}

// Denied counts a withdrawal that was denied.
func (b *Budget) Denied() {
	if b == nil {
		return
	}
	b.cells.denied.Add(1)
	if also := b.cells.also; also != nil {
		also.denied.Add(1)
	}
}

// Refunded counts a refund.
func (b *Budget) Refunded() {
	if b == nil {
		return
	}
	b.cells.refunded.Add(1)
	if also := b.cells.also; also != nil {
		also.refunded.Add(1)
	}
}

func (c *budgetCells) observe(o metric.Observer, tokens, capacity metric.Float64Observable, withdrawals, refunds metric.Int64Observable) {
	o.ObserveInt64(withdrawals, c.granted.Value(), c.grantedOption...)
	o.ObserveInt64(withdrawals, c.denied.Value(), c.deniedOption...)
	o.ObserveInt64(refunds, c.refunded.Value(), c.budgetOption...)
	if level := c.level.Load(); level != nil {
		now, full := level.read()
		if math.IsNaN(now) || math.IsNaN(full) {
			return
		}
		o.ObserveFloat64(tokens, now, c.budgetOption...)
		o.ObserveFloat64(capacity, full, c.budgetOption...)
	}
}
