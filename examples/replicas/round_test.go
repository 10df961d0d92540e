package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience/budget"
)

// timedRound makes a round, and returns how many retries come into a shared budget that was empty at
// first: the ratio of all calls, and the floor of the whole time.
func timedRound(t *testing.T, c *course, k kind) (r result, income float64) {
	t.Helper()
	began := time.Now()
	r, err := c.round(t.Context(), k)
	require.NoError(t, err)
	income = budget.DefaultRatio*float64(r.log.total().calls) + budget.DefaultFloor*time.Since(began).Seconds()
	require.True(t, r.agrees(), "%+v %+v", r.log.replicas, r.accounts)
	require.Zero(t, r.account().Unanswered, "calls without an answer")
	assert.LessOrEqual(t, float64(r.log.in(outage).retries), r.retriesAllowed(c.options), k)
	assert.Zero(t, r.log.in(calm).retries, k)
	t.Logf("%s: %d calls, %d retries, %.1f came in", k, r.log.total().calls, r.log.total().retries, income)
	return r, income
}

// With budgets of their own the replicas retry far more than the one that they share allows.
func TestLoad(t *testing.T) {
	t.Parallel()
	c := open(t, small())
	own, _ := timedRound(t, c, local)
	one, income := timedRound(t, c, shared)
	assert.Positive(t, one.log.total().retries)
	assert.LessOrEqual(t, float64(one.log.total().retries), income)
	assert.Greater(t, own.log.in(outage).retries, 2*one.log.in(outage).retries)
	assert.Greater(t, own.log.in(outage).relative(), 1.5)
}

// killing are the options of a round in which all leases expire long before the end of the outage.
func killing() options {
	o := small()
	o.killRedis = true
	o.times[outage] = 7 * time.Second
	return o
}

// Without Redis no retry is granted once the leases have expired, and all calls go on.
func TestKilledRedis(t *testing.T) {
	t.Parallel()
	c := open(t, killing())
	r, income := timedRound(t, c, killed)
	assert.LessOrEqual(t, float64(r.log.total().retries), income)
	assert.Equal(t, map[string]int{"closed": c.replicas}, modesAtEnd(r))
	assert.Positive(t, r.log.in(recovered).calls)
	assert.LessOrEqual(t, r.account().Unavailable, r.log.in(outage).calls)
}

// With a local budget more retries are granted than those that came into the shared one.
func TestKilledRedisWithLocalBudgets(t *testing.T) {
	t.Parallel()
	o := killing()
	o.local = true
	c := open(t, o)
	r, income := timedRound(t, c, killed)
	assert.Greater(t, float64(r.log.total().retries), income)
	assert.Equal(t, map[string]int{"local": c.replicas}, modesAtEnd(r))
}

// modesAtEnd returns how many budgets have come to each mode and not left it.
func modesAtEnd(r result) map[string]int {
	modes := make(map[string]int)
	for _, c := range r.changes {
		modes[c.To]++
		if modes[c.From]--; modes[c.From] <= 0 {
			delete(modes, c.From)
		}
	}
	return modes
}
