package main

import (
	"time"

	"github.com/observable-go/toolkit/contrib/budgetredis"
	"github.com/observable-go/toolkit/resilience/budget"
)

// agrees reports whether each replica counted what the callee counted of it.
func (r result) agrees() bool {
	if r.log.unknown > 0 || len(r.accounts) != len(r.log.replicas)-1 {
		return false
	}
	for i, a := range r.accounts {
		if a.load() != r.log.replicas[i+1] {
			return false
		}
	}
	return true
}

// account returns what all replicas counted together.
func (r result) account() account {
	var sum account
	for _, a := range r.accounts {
		sum = sum.plus(a)
	}
	return sum
}

// retriesAllowed returns how many retries the budgets allow in the outage, by the bounds of
// packages budget and budgetredis.
func (r result) retriesAllowed(o options) float64 {
	if r.kind == local {
		return allowed(r, float64(o.replicas))
	}
	most := allowed(r, 1) + r.onTheWay(o)
	if r.kind == killed && o.local {
		most += allowed(r, max(1, float64(o.replicas)/budget.DefaultBurst)) // a burst is 1 at least
	}
	return most
}

// allowed returns what so many budgets of the default settings allow in the outage: the burst and
// the floor of each, and the ratio of the calls whoever makes them.
func allowed(r result, budgets float64) float64 {
	perBudget := budget.DefaultBurst + budget.DefaultFloor*r.outage.Seconds()
	return budgets*perBudget + budget.DefaultRatio*float64(r.log.in(outage).calls)
}

// onTheWay returns what the shared budget may add to that: by calls that were made in the calm and
// are reported in the outage, and by tokens that the replicas hold.
func (r result) onTheWay(o options) float64 {
	const tau = 2 * lease / time.Second
	late := budget.DefaultRatio * float64(r.log.in(calm).calls)
	return late + min(float64(o.replicas*budgetredis.DefaultBatch), budget.DefaultFloor*float64(tau)+late)
}
