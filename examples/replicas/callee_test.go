package main

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCallee(t *testing.T) {
	t.Parallel()
	c, err := startCallee(2, time.Second)
	require.NoError(t, err)
	t.Cleanup(c.close)
	c.begin()
	send := func(replica, previous string) (status int) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url, http.NoBody)
		require.NoError(t, err)
		request.Header.Set(replicaHeader, replica)
		if previous != "" {
			request.Header.Set(previousAttempts, previous)
		}
		answer, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		answer.Body.Close()
		return answer.StatusCode
	}
	assert.Equal(t, http.StatusOK, send("1", ""))
	c.turn(outage)
	assert.Equal(t, http.StatusServiceUnavailable, send("1", ""))
	assert.Equal(t, http.StatusServiceUnavailable, send("1", "1"))
	assert.Equal(t, http.StatusServiceUnavailable, send("2", ""))
	c.turn(recovered)
	assert.Equal(t, http.StatusOK, send("1", "2"))

	assert.Equal(t, load{1, 0}, c.log.in(calm))
	assert.Equal(t, load{2, 1}, c.log.in(outage))
	assert.Equal(t, load{0, 1}, c.log.in(recovered))
	assert.Equal(t, load{3, 2}, c.log.total())
	assert.LessOrEqual(t, c.log.peak().requests(), 5)
	assert.Equal(t, []load{{}, {2, 2}, {1, 0}}, c.log.replicas)
	assert.Zero(t, c.log.unknown)

	for _, nobody := range []string{"", "0", "3", "x"} {
		send(nobody, "")
	}
	assert.Equal(t, 4, c.log.unknown)
}

func TestSeconds(t *testing.T) {
	t.Parallel()
	one, other := second{calm: {2, 0}, outage: {3, 9}}, second{recovered: {5, 1}}
	l := calleeLog{seconds: []second{one, other}}
	assert.Equal(t, outage, one.phase())
	assert.Equal(t, recovered, other.phase())
	assert.Equal(t, load{5, 9}, l.peak())
	assert.Equal(t, load{10, 10}, l.total())
	assert.Equal(t, other, l.second(1))
	assert.Zero(t, l.second(2))
	assert.InDelta(t, 2.8, l.peak().relative(), 1e-9)
}

func TestSecondAt(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for elapsed, want := range map[time.Duration]int{0: 0, 999 * ms: 0, 1000 * ms: 1, 2999 * ms: 2, 3000 * ms: 2, 3199 * ms: 2, 3200 * ms: 3} {
		assert.Equal(t, want, secondAt(elapsed, 3*time.Second), elapsed)
	}
}

func TestAgrees(t *testing.T) {
	t.Parallel()
	counted := func() result {
		return result{
			log:      calleeLog{replicas: []load{{}, {10, 3}, {9, 0}}},
			accounts: []account{{Calls: 10, Retries: 3}, {Calls: 9}},
		}
	}
	assert.True(t, counted().agrees())
	for name, tamper := range map[string]func(*result){
		"a call":           func(r *result) { r.accounts[1].Calls++ },
		"a retry":          func(r *result) { r.log.replicas[1].retries++ },
		"a stranger":       func(r *result) { r.log.unknown++ },
		"a missing one":    func(r *result) { r.accounts = r.accounts[:1] },
		"another's counts": func(r *result) { r.accounts[0], r.accounts[1] = r.accounts[1], r.accounts[0] },
	} {
		r := counted()
		tamper(&r)
		assert.False(t, r.agrees(), name)
	}
}
