package budgetredis_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/budgetredis"
	"github.com/observable-go/toolkit/internal/signaltest"
	"github.com/observable-go/toolkit/resilience/budget"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

func TestClosedWithoutRedis(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.kill()
	b := newBudget(t, newClient(t, s.addr), budgetredis.WithFloor(500))
	assert.Equal(t, budgetredis.Closed, b.Mode(), "before Redis is there")
	for range 100 {
		b.Deposit()
		assert.False(t, b.Withdraw())
	}
	s.start()
	awaitMode(t, b, budgetredis.Shared)
	require.Eventually(t, b.Withdraw, 5*time.Second, ms)

	s.kill()
	began := time.Now()
	awaitMode(t, b, budgetredis.Closed)
	assert.Less(t, time.Since(began), 2*time.Second)
	assert.False(t, b.Withdraw())
	assert.Zero(t, b.Tokens())
	b.Refund()
	for range 1000 {
		b.Deposit()
	}
	s.start()
	awaitMode(t, b, budgetredis.Shared)
	require.Eventually(t, b.Withdraw, 5*time.Second, ms)
}

// What was reported while Redis was not there does not count when it is back.
func TestOutageSavesNothingUp(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	p := startProxy(t, s.addr)
	direct := newClient(t, s.addr)
	b := newBudget(t, newClient(t, p.addr()), budgetredis.WithFloor(0), budgetredis.WithRatio(1))
	awaitMode(t, b, budgetredis.Shared)
	p.set(torn)
	require.Eventually(t, func() bool { // also what came in while it was not yet known
		b.Deposit()
		b.Refund()
		return b.Mode() == budgetredis.Closed
	}, 5*time.Second, ms)
	b.Deposit()
	b.Refund()
	p.set(fair)
	awaitMode(t, b, budgetredis.Shared)
	require.NoError(t, b.Close())
	assert.Zero(t, stateOf(t, direct).balance)
}

func TestLocalWithoutRedis(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.kill()
	local := budget.MustNew("local", budget.WithRatio(0.5), budget.WithFloor(0), budget.WithBurst(3), budget.WithTelemetry(telemetry.Off()))
	b := newBudget(t, newClient(t, s.addr), budgetredis.WithRatio(0), budgetredis.WithFloor(500), budgetredis.WithLocal(local))
	assert.Equal(t, budgetredis.Local, b.Mode())
	assert.InDelta(t, 3, b.Capacity(), 0)
	b.Refund()
	for range 3 {
		assert.True(t, b.Withdraw())
	}
	assert.False(t, b.Withdraw())
	b.Deposit()
	b.Deposit()
	assert.True(t, b.Withdraw(), "calls count for the local one")

	s.start()
	awaitMode(t, b, budgetredis.Shared)
	require.Eventually(t, b.Withdraw, 5*time.Second, ms)
	assert.Zero(t, local.Tokens(), "the local one is left alone")
	assert.InDelta(t, 10, b.Capacity(), 0)

	s.kill()
	awaitMode(t, b, budgetredis.Local)
	assert.False(t, b.Withdraw())
	for range 3 {
		b.Refund()
	}
	assert.InDelta(t, 3, b.Tokens(), 0)
	for range 3 {
		assert.True(t, b.Withdraw())
	}
	for range 100 {
		b.Refund()
	}
	require.NoError(t, b.Close())
	assert.Equal(t, budgetredis.Local, b.Mode(), "the local one decides after Close")
	assert.True(t, b.Withdraw())
}

// Refunds to the local budget never exceed what it granted.
func TestLocalRefunds(t *testing.T) {
	t.Parallel()
	local := budget.MustNew("local", budget.WithRatio(0.1), budget.WithFloor(0), budget.WithBurst(5), budget.WithTelemetry(telemetry.Off()))
	for range 5 {
		require.True(t, local.Withdraw())
	}
	b := newBudget(t, newClient(t, freeAddress(t)), budgetredis.WithLocal(local))
	for range 10 {
		b.Refund()
	}
	assert.Zero(t, local.Tokens())
	for range 10 {
		b.Deposit()
	}
	assert.True(t, b.Withdraw())
	b.Refund()
	b.Refund()
	assert.InDelta(t, 1, local.Tokens(), 0)
}

// A replica without need leaves the lower half of the bucket to those that have it.
func TestIdleReplicasLeaveTokens(t *testing.T) {
	t.Parallel()
	client := newClient(t, startServer(t).addr)
	const idle = 30
	for range idle {
		b := newBudget(t, client, append(slowly(), budgetredis.WithRatio(1), budgetredis.WithBurst(20))...)
		awaitMode(t, b, budgetredis.Shared)
	}
	fill(t, client, 20)
	require.Eventually(t, func() bool { return stateOf(t, client).out == 10 }, 5*time.Second, ms)
	assert.InDelta(t, 10, stateOf(t, client).balance, 0)
	b := newBudget(t, client, append(slowly(), budgetredis.WithRatio(1), budgetredis.WithBurst(20))...)
	got := 0
	require.Eventually(t, func() bool {
		if b.Withdraw() {
			got++
		}
		return got == 10
	}, 5*time.Second, ms)
}

// In a cluster the name in braces puts all that a budget needs into one slot.
func TestCluster(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--cluster-enabled", "yes")
	direct := newClient(t, s.addr)
	require.NoError(t, direct.ClusterAddSlotsRange(t.Context(), 0, 16383).Err())
	require.Eventually(t, func() bool {
		return direct.Set(t.Context(), "ready", 1, 0).Err() == nil
	}, 10*time.Second, 10*ms)
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{s.addr}})
	defer func() { _ = client.Close() }()
	b := newBudget(t, client, budgetredis.WithFloor(500))
	defer func() { _ = b.Close() }()
	require.Eventually(t, b.Withdraw, 10*time.Second, ms)
}

// These are all rights that a budget needs: one command to run the script, eval for a server that
// does not know the script yet, and what the script does to one key.
func TestLeastRights(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	admin := newClient(t, s.addr)
	require.NoError(t, admin.Do(t.Context(), "ACL", "SETUSER", "budget", "on", ">secret", "resetkeys", "~resilience:budget:*",
		"-@all", "+evalsha", "+eval", "+time", "+hmget", "+hset", "+hdel", "+hgetall", "+pexpire").Err())
	client := redis.NewClient(&redis.Options{Addr: s.addr, Username: "budget", Password: "secret"})
	defer func() { _ = client.Close() }()
	b := newBudget(t, client, budgetredis.WithFloor(500))
	require.Eventually(t, b.Withdraw, 5*time.Second, ms)
	require.NoError(t, b.Close())
	assert.InDelta(t, 0, stateOf(t, admin).out, 0, "it was let to leave")

	for _, missing := range []string{"evalsha", "time", "hmget", "hset", "hgetall", "pexpire"} {
		lacking(t, admin, client, missing)
	}
	other := newBudget(t, client, budgetredis.WithKeyPrefix("elsewhere:"))
	require.Eventually(t, func() bool {
		refused, err := admin.Do(t.Context(), "ACL", "LOG", "1").Slice()
		return err == nil && len(refused) > 0
	}, 5*time.Second, 10*ms)
	assert.Equal(t, budgetredis.Closed, other.Mode())
}

// lacking takes a right away. The budget is closed then and says why, and nothing is half written.
func lacking(t *testing.T, admin, client *redis.Client, right string) {
	t.Helper()
	require.NoError(t, admin.Do(t.Context(), "ACL", "SETUSER", "budget", "-"+right).Err())
	defer func() { require.NoError(t, admin.Do(t.Context(), "ACL", "SETUSER", "budget", "+"+right).Err()) }()
	require.NoError(t, admin.FlushAll(t.Context()).Err())
	signals := signaltest.New()
	b := observedBudget(t, client, budgetredis.WithFloor(500), budgetredis.WithTelemetry(signals.Metrics()...))
	require.Eventually(t, func() bool {
		return signals.Metric(t, telemetry.MetricSharedBudgetExchanges)["shop failure"] > 3
	}, 10*time.Second, 5*ms)
	assert.Equal(t, budgetredis.Closed, b.Mode(), right)
	assert.Zero(t, signals.Metric(t, telemetry.MetricSharedBudgetExchanges)["shop success"], right)
	assert.Zero(t, admin.DBSize(t.Context()).Val(), right)
}
