package main

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestHealthy(t *testing.T) {
	t.Parallel()
	r := start(t, patient...)
	all := r.orders(t, 40)
	for _, name := range serviceNames {
		entries := of(name, all)
		assert.Len(t, entries, 40)
		assert.InDelta(t, 1, load(name, all), 0, name)
		for _, e := range entries {
			assert.Equal(t, resultOK, e.Result)
			assert.Zero(t, e.Attempt)
			assert.Regexp(t, "^0-", e.Order)
			assert.Len(t, e.TraceID, 32)
			assert.WithinDuration(t, time.Now(), e.Time, time.Minute)
		}
	}
}

// The three services see one order as one trace, over HTTP and over gRPC.
func TestOneTrace(t *testing.T) {
	t.Parallel()
	r := start(t, patient...)
	traces := make(map[string]map[string]bool)
	for _, e := range r.orders(t, 5) {
		if traces[e.Order] == nil {
			traces[e.Order] = make(map[string]bool)
		}
		traces[e.Order][e.TraceID] = true
	}
	assert.GreaterOrEqual(t, len(traces), 5)
	for order, ids := range traces {
		assert.Len(t, ids, 1, order)
	}
}

// What the demo is there to show, measured by what the callees themselves have written down: four
// requests an order. The budget grants its burst of 20, a tenth of the calls and one a second.
func TestStormAndItsEnd(t *testing.T) {
	t.Parallel()
	for _, callee := range []string{nameInventory, namePayments} {
		t.Run(callee, func(t *testing.T) {
			t.Parallel()
			r := start(t, patient...)
			setFault(t, r, callee, outage)
			protect(t, r, false, false)
			storm := r.orders(t, 60)
			assert.InDelta(t, 4, load(callee, storm), 0, "without a budget")
			for _, e := range of(nameStorefront, storm) {
				assert.Equal(t, resultFailed, e.Result)
				assert.Equal(t, callee, e.Callee)
			}
			sent := make(map[string]int)
			for _, e := range of(callee, storm) {
				assert.Equal(t, sent[e.Order], e.Attempt, "attempts are numbered as they come")
				sent[e.Order]++
			}

			protect(t, r, true, false)
			const orders = 200
			began := time.Now()
			budgeted := len(of(callee, r.orders(t, orders)))
			assert.LessOrEqual(t, budgeted-orders, 20+orders/10+1+int(time.Since(began).Seconds()), "with a budget")
			assert.GreaterOrEqual(t, budgeted-orders, 20+orders/10-1, "that many were granted")

			protect(t, r, true, true)
			assert.Less(t, load(callee, r.orders(t, 100)), 0.5, "with a breaker")
			breakerOf := func(s state) string {
				for _, b := range s.Breakers {
					if b.Name == callee {
						return b.State
					}
				}
				return ""
			}
			opened := func(e event) bool { return e.Kind == "breaker" && e.Text == "the breaker of "+callee+" is open" }
			assert.True(t, slices.ContainsFunc(r.state(t).Events, opened))

			// It closes by itself, as soon as its probes find the callee well.
			setFault(t, r, callee, healthy)
			r.post(t, "api/settings", map[string]any{"rate": 50})
			r.until(t, func(s state) bool { return breakerOf(s) == "closed" }, "a closed breaker")
		})
	}
}

// Whoever is counted by the API is in the log, and the reverse.
func TestStateAgreesWithLog(t *testing.T) {
	t.Parallel()
	r := start(t, patient...)
	protect(t, r, false, false)
	for service, what := range map[string]fault{nameInventory: reset, namePayments: fail, nameStorefront: fail} {
		setFault(t, r, service, what)
	}
	all := r.orders(t, 200)
	for _, s := range r.state(t).Services {
		results, repeated := make(map[result]int64), int64(0)
		for _, e := range of(s.Name, all) {
			results[e.Result]++
			if e.Attempt > 0 {
				repeated++
			}
		}
		for _, kind := range allResults {
			assert.Equal(t, results[kind], s.Results[kind], "%s %s", s.Name, kind)
		}
		assert.EqualValues(t, len(of(s.Name, all)), s.Requests)
		assert.Equal(t, repeated, s.Repeated)
		assert.Positive(t, s.Requests-s.Results[resultOK], "%s has failed too", s.Name)
	}
}

// A slow callee is left after 400 ms, and knows it.
func TestSlow(t *testing.T) {
	t.Parallel()
	r := start(t, "-rate", "0")
	protect(t, r, false, false)
	setFault(t, r, nameInventory, slow)
	setFault(t, r, namePayments, slow)
	all := r.orders(t, 40)
	for _, name := range []string{nameInventory, namePayments} {
		results := make(map[result]int)
		for _, e := range of(name, all) {
			results[e.Result]++
		}
		assert.Positive(t, results[resultOK], name)
		assert.Positive(t, results[resultCanceled], name)
		assert.Greater(t, load(name, all), 1.2, name)
	}
}

// A connection that payments break takes other calls with it, and the shop goes on.
func TestPaymentsReset(t *testing.T) {
	t.Parallel()
	r := start(t, patient...)
	protect(t, r, false, false)
	setFault(t, r, namePayments, reset)
	all := r.orders(t, 60)
	results := make(map[result]int)
	for _, e := range of(namePayments, all) {
		results[e.Result]++
	}
	assert.Positive(t, results[resultReset])
	setFault(t, r, namePayments, healthy)
	for _, e := range of(nameStorefront, r.orders(t, 20)) {
		assert.Equal(t, resultOK, e.Result)
	}
}
