package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// made is a result of two replicas with 1 s of each phase.
func made(k kind, retries int) result {
	began := time.Unix(0, 0)
	after := func(s float64) time.Time { return began.Add(time.Duration(s * float64(time.Second))) }
	r := result{
		kind: k, began: began, outage: time.Second,
		log: calleeLog{
			seconds:  []second{{calm: {20, 0}}, {outage: {20, retries}}, {recovered: {20, 0}}},
			replicas: []load{{}, {30, retries}, {30, 0}},
		},
		accounts: []account{{Calls: 30, Retries: retries, Unavailable: 20}, {Calls: 30}},
	}
	if k == killed {
		r.killed = after(1.25)
		r.changes = []change{{after(1.9), "shared", "closed"}, {after(1.5), "shared", "closed"}, {after(2.5), "closed", "shared"}}
	}
	return r
}

func TestReport(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	writeReport(&out, options{replicas: 2, rate: 10}, []result{made(local, 60), made(shared, 4), made(killed, 1)})
	t.Log("\n" + out.String())
	for _, want := range []string{
		"second local shared Redis killed",
		"1 calm 20 1.00x ████ 20 1.00x ████ 20 1.00x ████",
		"2 outage 80 4.00x ████████████████ 24 1.20x █████ 21 1.05x ████",
		"calls 60 60 60",
		"requests 120 64 61",
		"load during the outage 4.00x 1.20x 1.05x",
		"load after the outage 1.00x 1.00x 1.00x",
		"peak second 80/s 4.00x 24/s 1.20x 21/s 1.05x",
		"retries during the outage 60 4 1",
		// 2 x (100 + 1) + 2, and 100 + 1 + 2 with 2 calls' worth on the way and 2 + 4 x 1 of tokens
		"most that the budgets allow 204 111 111",
		"local each replica has a burst and a floor: 2 x (100 + 1.0) + 0.1 x 20 = 204 retries",
		"shared all have one burst and one floor: 1 x (100 + 1.0) + 0.1 x 20 = 103 retries,",
		"and 8 at worst by calls and tokens that are on the way between replicas and Redis",
		"1.2 s redis-server is killed",
		"1.5 s to 1.9 s 2 replicas: shared -> closed",
		"2.5 s to 2.5 s 1 replica: closed -> shared",
		"calls that ended with an answer 503 20 20 20",
		"each replica and the callee equal equal equal",
	} {
		found := false
		for line := range strings.Lines(out.String()) {
			found = found || strings.Join(strings.Fields(line), " ") == want
		}
		assert.True(t, found, want)
	}
	for line := range strings.Lines(out.String()) {
		assert.LessOrEqual(t, len([]rune(line)), 101, line)
	}
}

func TestReportOfNoCalls(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	none := result{log: calleeLog{seconds: make([]second, 1), replicas: make([]load, 2)}, accounts: make([]account, 1)}
	writeReport(&out, options{replicas: 1}, []result{none, none})
	assert.NotContains(t, out.String(), "NaN")
}

func TestRetriesAllowedWithLocalBudgets(t *testing.T) {
	t.Parallel()
	o := options{replicas: 200, killRedis: true}
	without := made(killed, 0).retriesAllowed(o)
	o.local = true
	// The share of each of 200 is half a retry, but a burst is one at least: twice the default.
	assert.InDelta(t, without+2*100+2*1+2, made(killed, 0).retriesAllowed(o), 1e-9)
}
