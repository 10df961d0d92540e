package hedge_test

import (
	"sync/atomic"

	"github.com/observable-go/toolkit/resilience/telemetry"
)

// The metrics of a hedge of the name "h". What follows the first two is a result.
const (
	hedgeCalls  = telemetry.MetricHedgeCalls + " h "
	hedgeCopies = telemetry.MetricHedgeCopies + " h "
	hedgeDelay  = telemetry.MetricHedgeDelay + " h"
)

// fakeBudget grants a number of copies and keeps accounts.
type fakeBudget struct {
	grants                               int64
	deposits, withdrawn, denied, refunds atomic.Int64
	onWithdraw                           func()
}

func (b *fakeBudget) Deposit() { b.deposits.Add(1) }
func (b *fakeBudget) Refund()  { b.refunds.Add(1) }

func (b *fakeBudget) Withdraw() bool {
	if b.onWithdraw != nil {
		b.onWithdraw()
	}
	if b.withdrawn.Add(1) > b.grants {
		b.denied.Add(1)
		return false
	}
	return true
}
