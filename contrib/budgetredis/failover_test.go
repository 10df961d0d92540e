package budgetredis_test

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/budgetredis"
)

// startSentinel starts a Sentinel that watches a master, and returns when it knows a replica of it.
func startSentinel(t *testing.T, master *server) *server {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sentinel.conf")
	require.NoError(t, os.WriteFile(file, []byte("sentinel monitor shop 127.0.0.1 "+port(t, master.addr)+" 1\n"+
		"sentinel down-after-milliseconds shop 500\n"+
		"sentinel failover-timeout shop 5000\n"), 0o600))
	s := startServer(t, file, "--sentinel")
	client := redis.NewSentinelClient(&redis.Options{Addr: s.addr})
	t.Cleanup(func() { _ = client.Close() })
	require.Eventually(t, func() bool {
		replicas, err := client.Replicas(t.Context(), "shop").Result()
		return err == nil && len(replicas) == 1 && replicas[0]["master-link-status"] == "ok"
	}, 20*time.Second, 10*ms)
	return s
}

// The master dies before its latest writes have come to its replica. Until Sentinel has promoted
// that, no retry is granted; then the budget goes on, and keeps the bound but for what was lost.
func TestFailover(t *testing.T) {
	t.Parallel()
	const replicas = 5
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	master := startServer(t, "--repl-diskless-sync-delay", "0")
	wire := startNetwork(t, master.addr)
	heir := startServer(t, "--replicaof", "127.0.0.1", port(t, wire.addr()))
	sentinel := startSentinel(t, master)
	budgets := make([]*budgetredis.Budget, replicas)
	for i := range budgets {
		client := redis.NewFailoverClient(&redis.FailoverOptions{
			MasterName: "shop", SentinelAddrs: []string{sentinel.addr}, ContextTimeoutEnabled: true, DialerRetries: 1, MinRetryBackoff: ms,
		})
		t.Cleanup(func() { _ = client.Close() })
		budgets[i] = newBudget(t, client, settings()...)
		awaitMode(t, budgets[i], budgetredis.Shared)
	}
	allClosed := func() bool {
		return !slices.ContainsFunc(budgets, func(b *budgetredis.Budget) bool { return b.Mode() != budgetredis.Closed })
	}

	r := newRecord()
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Minute)
	defer stop()
	var group sync.WaitGroup
	for i, b := range budgets {
		group.Go(func() { work(ctx, r.of(b), rand.New(rand.NewPCG(seed, uint64(i))), nowAndThen) })
	}
	<-time.After(calm + 50*ms)
	before := r.now()
	_, err := wire.proxy.Toxics.AddToxicJson(strings.NewReader(`{"type": "timeout", "attributes": {"timeout": 0}}`))
	require.NoError(t, err)
	<-time.After(200 * ms)
	master.kill()
	lost := r.now() - before
	require.Eventually(t, allClosed, 10*time.Second, ms)
	closed := r.now()
	require.Eventually(t, func() bool { return budgets[0].Mode() == budgetredis.Shared }, time.Minute, ms)
	for _, b := range budgets {
		awaitMode(t, b, budgetredis.Shared)
	}
	shared := r.now()
	<-time.After(1500 * ms)
	grants := r.grants.Load()
	require.Eventually(t, func() bool { return r.grants.Load() > grants }, time.Minute, ms)
	stop()
	group.Wait()

	promoted := newClient(t, heir.addr)
	assert.Contains(t, promoted.Info(t.Context(), "replication").Val(), "role:master")
	assert.InDelta(t, 0, stateOf(t, promoted).balance, burst)
	calls, retries := timesOf(r.only(called)), timesOf(r.only(granted))
	after := r.count(granted) - until(retries.from, shared)
	reported := until(calls.from, before+lost) - until(calls.to, before-2*lease) // in those writes, at most
	t.Logf("the writes of %v were lost, and no budget had Redis from %v to %v", lost, closed, shared)
	t.Logf("%d calls, %d grants, %d of them after the failover, %d refunds", r.count(called), r.count(granted), after, r.count(refunded))
	assert.Positive(t, after)
	// What was granted in the writes that were lost, at most the burst and what came in since.
	assertBound(t, r, replicas, bound{constant: burst + floor*lost.Seconds() + ratio*float64(reported)})
}
