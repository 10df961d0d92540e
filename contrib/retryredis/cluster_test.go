package retryredis_test

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/retryredis"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retry"
)

// setUpCluster starts a cluster of one node, which tells clients to reach it by the proxy.
func setUpCluster(t *testing.T, policy resilience.Policy) (client *redis.ClusterClient, p *proxy, direct *redis.Client) {
	t.Helper()
	p = startProxy(t, "")
	_, port, err := net.SplitHostPort(p.addr())
	require.NoError(t, err)
	addr, _ := startServer(t, "", "--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1", "--cluster-announce-port", port)
	p.handTo(addr)
	direct = redis.NewClient(&redis.Options{Addr: addr})
	t.Cleanup(func() { _ = direct.Close() })
	require.NoError(t, direct.ClusterAddSlotsRange(t.Context(), 0, 16383).Err())
	for info := ""; !strings.Contains(info, "cluster_state:ok"); {
		info = direct.ClusterInfo(t.Context()).Val()
	}
	client = redis.NewClusterClient(retryredis.WithoutRetries(&redis.ClusterOptions{
		Addrs: []string{p.addr()}, ReadTimeout: 2 * time.Second,
	}))
	t.Cleanup(func() { _ = client.Close() })
	require.NoError(t, retryredis.Instrument(client, policy))
	return client, p, direct
}

func TestClusterDoesNotRepeatByItself(t *testing.T) {
	t.Parallel()
	b := &ledger{}
	client, p, direct := setUpCluster(t, noDelay(retry.WithBudget(b)))
	ctx := t.Context()
	require.NoError(t, client.Set(ctx, "k", "v", 0).Err())

	p.arm(fault{on: "incr", times: 9, cutAfter: true})
	err := client.Incr(ctx, "n").Err()
	require.ErrorIs(t, err, io.EOF)
	assert.Equal(t, resilience.ClassRefused, resilience.Classify(err))
	assert.Equal(t, "1", direct.Get(ctx, "n").Val(), "executed exactly once")

	p.arm(fault{on: "\nget", times: 2, cutAfter: true})
	assert.Equal(t, "v", client.Get(ctx, "k").Val())
	p.arm(fault{on: "strlen", times: 99, cutAfter: true})
	require.ErrorIs(t, client.StrLen(ctx, "k").Err(), retry.ErrExhausted)
	assert.Equal(t, 4, p.done("strlen"), "not 16")
	assert.Equal(t, [3]int{4, 2 + 3, 0}, b.counts())

	p.arm(fault{on: "append", times: 1, reply: "-TRYAGAIN later\r\n"})
	require.NoError(t, client.Append(ctx, "a", "x").Err())
	assert.Equal(t, [3]int{5, 6, 0}, b.counts())
}

func TestClusterFollowsRedirectsWithoutARetry(t *testing.T) {
	t.Parallel()
	b := &ledger{}
	client, p, _ := setUpCluster(t, noDelay(retry.WithBudget(b)))
	ctx := t.Context()
	p.arm(fault{on: "incr", times: 1, reply: "-MOVED 1 " + p.addr() + "\r\n"})
	n, err := client.Incr(ctx, "n").Result()
	require.NoError(t, err)
	assert.Equal(t, int64(1), n)
	p.arm(fault{on: "append", times: 1, reply: "-ASK 1 " + p.addr() + "\r\n"})
	require.NoError(t, client.Append(ctx, "a", "x").Err())
	p.arm(fault{on: "rpush", times: 1, reply: "-READONLY You can't write against a read only replica.\r\n"})
	require.NoError(t, client.RPush(ctx, "l", "x").Err())
	assert.Equal(t, [3]int{3, 0, 0}, b.counts())
}

func TestClusterPipelines(t *testing.T) {
	t.Parallel()
	b := &ledger{}
	client, p, direct := setUpCluster(t, noDelay(retry.WithBudget(b)))
	ctx := t.Context()
	require.NoError(t, client.Set(ctx, "k", "v", 0).Err())

	p.arm(fault{on: "strlen", times: 2, cutAfter: true})
	cmds, err := client.Pipelined(ctx, func(p redis.Pipeliner) error { p.StrLen(ctx, "k"); p.Get(ctx, "k"); return nil })
	require.NoError(t, err)
	assert.Equal(t, "v", cmds[1].(*redis.StringCmd).Val())
	assert.Equal(t, [3]int{2, 2, 0}, b.counts(), "each repetition was granted by the budget")

	p.arm(fault{on: "incr", times: 9, cutAfter: true})
	_, err = client.Pipelined(ctx, func(p redis.Pipeliner) error { p.Get(ctx, "k"); p.Incr(ctx, "n"); return nil })
	require.Error(t, err)
	assert.Equal(t, "1", direct.Get(ctx, "n").Val(), "executed exactly once")

	p.arm(fault{on: "append", times: 1, reply: "-MOVED 1 " + p.addr() + "\r\n"})
	_, err = client.Pipelined(ctx, func(p redis.Pipeliner) error { p.Append(ctx, "a", "x"); return nil })
	require.NoError(t, err)
	assert.Equal(t, [3]int{4, 2, 0}, b.counts())

	p.arm(fault{on: "multi", times: 9, cutAfter: true})
	_, err = client.TxPipelined(ctx, func(p redis.Pipeliner) error { p.Incr(ctx, "m"); return nil })
	require.Error(t, err)
	assert.Equal(t, "1", direct.Get(ctx, "m").Val(), "executed exactly once")
}

// A cluster gives a Watch to a node, around the policy. Policies around the Watch must know nevertheless.
func TestClusterWatchThatMayHaveBeenExecutedIsRefused(t *testing.T) {
	t.Parallel()
	client, p, direct := setUpCluster(t, noDelay())
	ctx := t.Context()
	increment := func(ctx context.Context) error {
		return client.Watch(ctx, func(tx *redis.Tx) error {
			_, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error { p.Incr(ctx, "n"); return nil })
			return err
		}, "n")
	}
	p.arm(fault{on: "multi", times: 1, cutAfter: true})
	err := noDelay(retry.WithUnknown(resilience.ClassRetryable)).Do(ctx, increment)
	require.ErrorIs(t, err, io.EOF)
	assert.Equal(t, resilience.ClassRefused, resilience.Classify(err))
	assert.Equal(t, "1", direct.Get(ctx, "n").Val(), "executed exactly once")

	p.arm(fault{on: "incrby", times: 1, cutAfter: true})
	err = noDelay(retry.WithUnknown(resilience.ClassRetryable)).Do(ctx, func(ctx context.Context) error {
		return client.Watch(ctx, func(tx *redis.Tx) error { return tx.IncrBy(ctx, "n", 5).Err() }, "n")
	})
	assert.Equal(t, resilience.ClassRefused, resilience.Classify(err))
	assert.Equal(t, "6", direct.Get(ctx, "n").Val(), "executed exactly once")

	require.NoError(t, increment(ctx))
	err = client.Watch(ctx, func(tx *redis.Tx) error { return tx.Get(ctx, "none").Err() }, "n")
	assert.Equal(t, redis.Nil, err, "an answer stays as it is")
}
