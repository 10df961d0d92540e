package main

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// short is a run that is over in seconds.
func short() options {
	o := small()
	o.times = [numPhases]time.Duration{calm: 500 * time.Millisecond, outage: time.Second, recovered: 300 * time.Millisecond}
	return o
}

func TestRun(t *testing.T) {
	t.Parallel()
	needRedis(t)
	var out strings.Builder
	require.NoError(t, run(t.Context(), short(), &out), "%s", &out)
	t.Log("\n" + out.String())
	assert.True(t, strings.HasPrefix(out.String(), "This takes about 5 s;"))
	for _, part := range []string{"Round 2 of 2", "recovered", "load during the outage", "Why:", "equal           equal"} {
		assert.Contains(t, out.String(), part)
	}
	assert.NotContains(t, out.String(), "Modes of the replicas")
	for line := range strings.Lines(out.String()) {
		assert.LessOrEqual(t, len([]rune(line)), 101, line)
	}
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	needRedis(t)
	for _, after := range []time.Duration{0, time.Second} {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(after, cancel)
		assert.ErrorIs(t, run(ctx, short(), io.Discard), errInterrupted)
	}
}

// A Redis that is there is used, and not ended.
func TestGivenRedis(t *testing.T) {
	t.Parallel()
	c := open(t, short())
	o := short()
	o.redis = c.redis
	require.NoError(t, run(t.Context(), o, io.Discard))
	assert.NoError(t, ping(t.Context(), c.redis))
}

func TestNoRedisAnswers(t *testing.T) {
	t.Parallel()
	addr, err := freeAddress()
	require.NoError(t, err)
	o := short()
	o.redis = addr
	assert.ErrorContains(t, run(t.Context(), o, io.Discard), "-redis: no Redis answers at "+addr)
}

func TestNoRedisServer(t *testing.T) {
	t.Setenv("PATH", "")
	assert.EqualError(t, run(t.Context(), short(), io.Discard), "there is no redis-server here: install it (on Debian and "+
		"Ubuntu: apt install redis-server), or give the address of a Redis with -redis, such as -redis localhost:6379")
}

func TestCheck(t *testing.T) {
	t.Parallel()
	good := result{log: calleeLog{replicas: []load{{}, {2, 1}}}, accounts: []account{{Calls: 2, Retries: 1}}}
	assert.NoError(t, check([]result{good, good}))
	differs, unanswered := good, good
	differs.accounts = []account{{Calls: 2}}
	assert.ErrorIs(t, check([]result{good, differs}), errDisagree)
	unanswered.accounts = []account{{Calls: 2, Retries: 1, Unanswered: 1}}
	assert.ErrorIs(t, check([]result{good, unanswered}), errBusy)
}
