package retryredis_test

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/retryredis"
	"github.com/observable-go/toolkit/internal/signaltest"
	"github.com/observable-go/toolkit/resilience/budget"
	"github.com/observable-go/toolkit/resilience/retry"
)

func TestClientThatRetriesByItselfIsRefused(t *testing.T) {
	t.Parallel()
	addrs := []string{"127.0.0.1:1"}
	shards := map[string]string{"a": "127.0.0.1:1"}
	for name, test := range map[string]struct {
		client redis.UniversalClient
		want   string
	}{
		"client": {redis.NewClient(&redis.Options{}), "retryredis: max_retries: 3 is not allowed: want -1: " +
			"prepare the options of the client by retryredis.WithoutRetries"},
		"dials":             {redis.NewClient(&redis.Options{MaxRetries: -1}), "retryredis: dialer_retries: 5 is not allowed: want 1"},
		"cluster":           {redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs, MaxRetries: 2, DialerRetries: 1}), "max_retries: 2"},
		"ring":              {redis.NewRing(&redis.RingOptions{Addrs: shards}), "max_retries: 3"},
		"failover":          {redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "m", SentinelAddrs: addrs}), "max_retries: 3"},
		"nil":               {nil, "client: "},
		"nil client":        {(*redis.Client)(nil), "client: "},
		"prepared client":   {redis.NewClient(retryredis.WithoutRetries(&redis.Options{})), ""},
		"prepared cluster":  {redis.NewClusterClient(retryredis.WithoutRetries(&redis.ClusterOptions{Addrs: addrs})), ""},
		"prepared ring":     {redis.NewRing(retryredis.WithoutRetries(&redis.RingOptions{Addrs: shards})), ""},
		"prepared failover": {redis.NewFailoverClient(retryredis.WithoutRetries(&redis.FailoverOptions{MasterName: "m", SentinelAddrs: addrs})), ""},
		"prepared failover cluster": {redis.NewFailoverClusterClient(retryredis.WithoutRetries(
			&redis.FailoverOptions{MasterName: "m", SentinelAddrs: addrs})), ""},
		"prepared universal":         {redis.NewUniversalClient(retryredis.WithoutRetries(&redis.UniversalOptions{Addrs: addrs})), ""},
		"prepared universal cluster": {redis.NewUniversalClient(retryredis.WithoutRetries(&redis.UniversalOptions{Addrs: addrs, IsClusterMode: true})), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := retryredis.Instrument(test.client, noDelay(), nil)
			if test.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, test.want)
			}
			if !strings.HasPrefix(name, "nil") {
				require.NoError(t, test.client.Close())
			}
		})
	}
	assert.Nil(t, retryredis.WithoutRetries[redis.Options](nil))
	client := redis.NewClient(retryredis.WithoutRetries(&redis.Options{}))
	t.Cleanup(func() { _ = client.Close() })
	require.EqualError(t, retryredis.Instrument(client, nil, retryredis.WithIdempotent(nil)),
		"retryredis: idempotent: nil is not allowed: want a function")
}

func TestRing(t *testing.T) {
	t.Parallel()
	addr, _ := startServer(t, "")
	p := startProxy(t, addr)
	ring := redis.NewRing(retryredis.WithoutRetries(&redis.RingOptions{Addrs: map[string]string{"a": p.addr()}}))
	t.Cleanup(func() { _ = ring.Close() })
	require.NoError(t, retryredis.Instrument(ring, noDelay()))
	ctx := t.Context()
	p.arm(fault{on: "strlen", times: 99, cutAfter: true})
	require.ErrorIs(t, ring.StrLen(ctx, "k").Err(), retry.ErrExhausted)
	assert.Equal(t, 4, p.done("strlen"), "not 16")
	p.arm(fault{on: "incr", times: 1, cutAfter: true})
	require.ErrorIs(t, ring.Incr(ctx, "n").Err(), io.EOF)
	p.arm(fault{on: "hget", times: 1, cutAfter: true})
	_, err := ring.Pipelined(ctx, func(p redis.Pipeliner) error { p.HGet(ctx, "h", "f"); return nil })
	assert.Equal(t, redis.Nil, err)
}

func TestAutoPipelineIsRepeatedAsAPipelineIs(t *testing.T) {
	t.Parallel()
	s := setUp(t, noDelay())
	auto, err := s.client.AutoPipeline()
	require.NoError(t, err)
	t.Cleanup(func() { _ = auto.Close() })
	require.NoError(t, s.direct.Set(t.Context(), "k", "v", 0).Err())
	s.proxy.arm(fault{on: "strlen", times: 1, cutAfter: true})
	n, err := auto.StrLen(t.Context(), "k").Result()
	require.NoError(t, err)
	assert.Equal(t, int64(1), n)
	s.proxy.arm(fault{on: "incr", times: 1, cutAfter: true})
	require.Error(t, auto.Incr(t.Context(), "n").Err())
	assert.Equal(t, "1", s.direct.Get(t.Context(), "n").Val(), "executed exactly once")
}

func TestOneBudgetCapsAPolicyAndTheClient(t *testing.T) {
	t.Parallel()
	const calls, burst = 100, 10
	b, err := budget.New("service", budget.WithBurst(burst), budget.WithRatio(0.1), budget.WithFloor(0))
	require.NoError(t, err)
	s := setUp(t, noDelay(retry.WithBudget(b)))
	s.proxy.arm(fault{on: "strlen", times: 4 * calls, cutAfter: true})
	policy := noDelay(retry.WithBudget(b))
	attempts := 0
	for range calls {
		_ = policy.Do(t.Context(), func(context.Context) error { attempts++; return io.ErrUnexpectedEOF })
		require.Error(t, s.client.StrLen(t.Context(), "k").Err())
	}
	retries := attempts + s.proxy.done("strlen") - 2*calls
	assert.LessOrEqual(t, retries, burst+2*calls/10)
	assert.GreaterOrEqual(t, retries, burst, "the whole burst was used")
}

func TestSignals(t *testing.T) {
	t.Parallel()
	signals := signaltest.New()
	s := setUp(t, noDelay(retry.WithTelemetry(signals.Metrics()...)))
	ctx := t.Context()
	s.proxy.arm(fault{on: "strlen", times: 2, cutAfter: true})
	require.NoError(t, s.client.StrLen(ctx, "k").Err())
	require.ErrorIs(t, s.client.Get(ctx, "missing").Err(), redis.Nil)
	s.proxy.arm(fault{on: "incr", times: 1, cutAfter: true})
	require.Error(t, s.client.Incr(ctx, "n").Err())
	s.proxy.arm(fault{on: "append", times: 1, reply: "-LOADING Redis is loading\r\n"})
	require.NoError(t, s.client.Append(ctx, "a", "x").Err())
	require.Error(t, s.client.LPush(ctx, "a", "x").Err())
	require.Error(t, s.client.Do(ctx, "eval", "return redis.error_reply('secret: 42')", 0).Err())
	assert.Equal(t, map[string]float64{
		"success redis":                 1,
		"success_after_retry redis":     2,
		"unexpected_eof refused redis":  1,
		"WRONGTYPE not_retryable redis": 1,
		"redis not_retryable redis":     1,
	}, signals.Metric(t, "resilience.retry.calls"))
	assert.Equal(t, map[string]float64{
		"success redis":                3,
		"unexpected_eof failure redis": 3,
		"LOADING failure redis":        1,
		"WRONGTYPE failure redis":      1,
		"redis failure redis":          1,
	}, signals.Metric(t, "resilience.retry.attempts"), "what sets up a connection is no attempt")
}
