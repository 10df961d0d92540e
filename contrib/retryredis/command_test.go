package retryredis_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/retryredis"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/breaker"
	"github.com/observable-go/toolkit/resilience/retry"
)

func TestLostAnswerOfAWriteIsNotRepeated(t *testing.T) {
	t.Parallel()
	b := &ledger{}
	s := setUp(t, noDelay(retry.WithBudget(b)))
	s.proxy.arm(fault{on: "incr", times: 1, cutAfter: true})
	err := s.client.Incr(t.Context(), "n").Err()
	require.ErrorIs(t, err, io.EOF)
	assert.Equal(t, resilience.ClassRefused, resilience.Classify(err), "nobody is to repeat it")
	failure, asked := resilience.CalleeError(err)
	assert.True(t, asked)
	assert.Equal(t, resilience.ClassRetryable, resilience.Classify(failure), "a breaker sees the failure")
	assert.Equal(t, "1", s.direct.Get(t.Context(), "n").Val(), "executed exactly once")
	assert.Equal(t, [3]int{1, 0, 0}, b.counts())

	outer := noDelay(retry.WithRetryable(io.EOF))
	s.proxy.arm(fault{on: "incr", times: 4, cutAfter: true})
	require.Error(t, outer.Do(t.Context(), func(ctx context.Context) error { return s.client.Incr(ctx, "n").Err() }))
	assert.Equal(t, "2", s.direct.Get(t.Context(), "n").Val())
}

func TestWriteThatWasNotExecutedMayBeRepeatedByTheCallerOnly(t *testing.T) {
	t.Parallel()
	s := setUp(t, noDelay())
	s.proxy.arm(fault{on: "incr", times: 1, cutBefore: true})
	require.Error(t, s.client.Incr(t.Context(), "n").Err(), "the client cannot know that it was not executed")
	assert.ErrorIs(t, s.direct.Get(t.Context(), "n").Err(), redis.Nil)
}

func TestReadsAreRepeated(t *testing.T) {
	t.Parallel()
	s := setUp(t, noDelay())
	ctx := t.Context()
	require.NoError(t, s.direct.Set(ctx, "k", "v", 0).Err())
	require.NoError(t, s.direct.RPush(ctx, "list", "a", "b", "c").Err())
	require.NoError(t, s.direct.HSet(ctx, "hash", "f", "1", "g", "2").Err())
	s.proxy.arm(fault{on: "get", times: 2, cutAfter: true})
	assert.Equal(t, "v", s.client.Get(ctx, "k").Val())
	s.proxy.arm(fault{on: "get", times: 1, cutBefore: true})
	assert.Equal(t, "v", s.client.Get(ctx, "k").Val())

	// Answers that broke off in the middle do not add up.
	s.proxy.arm(fault{on: "lrange", times: 2, cutAfter: true, answer: 13})
	list, err := s.client.LRange(ctx, "list", 0, -1).Result()
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "b", "c"}, list)
	s.proxy.arm(fault{on: "hgetall", times: 2, cutAfter: true, answer: 17})
	hash, err := s.client.HGetAll(ctx, "hash").Result()
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"f": "1", "g": "2"}, hash)

	s.proxy.arm(fault{on: "get", times: 4, cutAfter: true})
	err = s.client.Get(ctx, "k").Err()
	require.ErrorIs(t, err, retry.ErrExhausted)
	assert.ErrorIs(t, err, io.EOF)
	assert.Equal(t, "v", s.client.Get(ctx, "k").Val())
}

func TestAnswersThatProveThatNothingWasExecuted(t *testing.T) {
	t.Parallel()
	s := setUp(t, noDelay())
	for _, reply := range []string{
		"LOADING Redis is loading the dataset in memory",
		"READONLY You can't write against a read only replica.",
		"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
		"TRYAGAIN Multiple keys request during rehashing of slot",
		"CLUSTERDOWN Hash slot not served",
		"NOREPLICAS Not enough good replicas to write.",
		"ERR max number of clients reached",
	} {
		require.NoError(t, s.direct.Del(t.Context(), "n").Err())
		s.proxy.arm(fault{on: "incr", times: 2, reply: "-" + reply + "\r\n"})
		n, err := s.client.Incr(t.Context(), "n").Result()
		require.NoError(t, err, reply)
		assert.Equal(t, int64(1), n, reply)
	}
	s.proxy.arm(fault{on: "incr", times: 4, reply: "-LOADING Redis is loading the dataset in memory\r\n"})
	err := s.client.Incr(t.Context(), "n").Err()
	require.ErrorIs(t, err, retry.ErrExhausted)
	assert.True(t, redis.IsLoadingError(err), "the client's own word is still found")
}

func TestAnswersAreReturnedAsTheyAre(t *testing.T) {
	t.Parallel()
	b := breaker.MustNew("redis", breaker.WithConsecutiveFailures(3))
	s := setUp(t, resilience.Chain(noDelay(), b))
	ctx := t.Context()
	require.NoError(t, s.client.Set(ctx, "k", "v", 0).Err())
	for range 20 {
		_, err := s.client.Get(ctx, "missing").Result()
		assert.Equal(t, redis.Nil, err, "comparable by ==")
		err = s.client.LPush(ctx, "k", "x").Err()
		assert.True(t, redis.HasErrorPrefix(err, "WRONGTYPE"))
		_, isReply := err.(redis.Error)
		assert.True(t, isReply, "%T", err)
	}
	assert.Equal(t, breaker.Closed, b.State(), "answers are no failures")

	s.proxy.arm(fault{on: "incr", times: 3, cutAfter: true})
	for range 3 {
		require.Error(t, s.client.Incr(ctx, "n").Err())
	}
	assert.Equal(t, breaker.Open, b.State(), "lost answers are, though they are not repeated")
	err := s.client.Get(ctx, "k").Err()
	assert.ErrorAs(t, err, new(*breaker.OpenError))
	cmds, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error { p.Get(ctx, "k"); p.Get(ctx, "l"); return nil })
	assert.ErrorAs(t, err, new(*breaker.OpenError))
	for _, cmd := range cmds {
		assert.ErrorAs(t, cmd.Err(), new(*breaker.OpenError), "no command looks as if it had been executed")
	}
}

func TestServerThatIsDownOrRestarts(t *testing.T) {
	t.Parallel()
	s := setUp(t, noDelay())
	require.NoError(t, s.client.Incr(t.Context(), "n").Err())
	s.stop()
	direct := newClient(t, s.server, noDelay())
	err := direct.Incr(t.Context(), "n").Err()
	require.ErrorIs(t, err, retry.ErrExhausted, "no connection, so nothing was executed")

	// The server comes back between two attempts.
	var restarted bool
	policy := noDelay(retry.WithOnRetry(func(context.Context, retry.Retry) {
		if !restarted {
			restarted = true
			startServer(t, s.server)
		}
	}))
	client := newClient(t, s.server, policy)
	n, err := client.Incr(t.Context(), "n").Result()
	require.NoError(t, err)
	assert.Equal(t, int64(1), n)
}

func TestTimeoutOfAnAttempt(t *testing.T) {
	t.Parallel()
	s := setUp(t, nil)
	client := redis.NewClient(retryredis.WithoutRetries(&redis.Options{Addr: s.proxy.addr(), ContextTimeoutEnabled: true}))
	t.Cleanup(func() { _ = client.Close() })
	require.NoError(t, retryredis.Instrument(client, noDelay(retry.WithAttemptTimeout(time.Second))))
	require.NoError(t, client.Set(t.Context(), "k", "v", 0).Err())
	s.proxy.arm(fault{on: "get", times: 1, stall: true})
	assert.Equal(t, "v", client.Get(t.Context(), "k").Val())
	s.proxy.arm(fault{on: "incr", times: 1, stall: true})
	require.Error(t, client.Incr(t.Context(), "n").Err())
	assert.Equal(t, "1", s.direct.Get(t.Context(), "n").Val(), "a timeout does not say that nothing happened")
}

func TestPoolThatIsUsedUp(t *testing.T) {
	t.Parallel()
	addr, _ := startServer(t, "")
	b := &ledger{}
	client := redis.NewClient(retryredis.WithoutRetries(&redis.Options{Addr: addr, PoolSize: 1, PoolTimeout: time.Millisecond}))
	t.Cleanup(func() { _ = client.Close() })
	require.NoError(t, retryredis.Instrument(client, noDelay(retry.WithBudget(b))))
	conn := client.Conn()
	require.NoError(t, conn.Ping(t.Context()).Err())
	err := client.Incr(t.Context(), "n").Err()
	require.ErrorIs(t, err, redis.ErrPoolTimeout)
	assert.Equal(t, [3]int{2, 3, 0}, b.counts(), "a write too, as it was not sent")
	require.NoError(t, conn.Close())
	require.NoError(t, client.Incr(t.Context(), "n").Err())
}

func TestCancelledCallsEnd(t *testing.T) {
	t.Parallel()
	s := setUp(t, noDelay())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := s.client.Get(ctx, "k").Err()
	require.ErrorIs(t, err, context.Canceled)
	assert.ErrorIs(t, err, retry.ErrCanceled)
}

func TestNestedRetriesDoNotMultiply(t *testing.T) {
	t.Parallel()
	s := setUp(t, noDelay())
	s.proxy.arm(fault{on: "get", times: 100, cutAfter: true})
	err := noDelay().Do(t.Context(), func(ctx context.Context) error { return s.client.Get(ctx, "k").Err() })
	require.ErrorIs(t, err, retry.ErrExhausted)
	assert.Equal(t, 4, s.proxy.done("get"), "not 16")

	// Without a policy of its own the client leaves the retries to the caller, and says which.
	plain := newClient(t, s.proxy.addr(), nil)
	err = noDelay().Do(t.Context(), func(ctx context.Context) error { return plain.Get(ctx, "k").Err() })
	require.ErrorIs(t, err, retry.ErrExhausted)
	assert.Equal(t, 8, s.proxy.done("get"))
	s.proxy.arm(fault{on: "incr", times: 100, cutAfter: true})
	require.Error(t, noDelay().Do(t.Context(), func(ctx context.Context) error { return plain.Incr(ctx, "n").Err() }))
	assert.Equal(t, 1, s.proxy.done("incr"))
	require.Error(t, s.client.Get(resilience.NoRetry(t.Context()), "k").Err())
	assert.Equal(t, 9, s.proxy.done("get"))
}

func TestWithIdempotent(t *testing.T) {
	t.Parallel()
	s := setUp(t, noDelay(), retryredis.WithIdempotent(func(cmd redis.Cmder) bool {
		return retryredis.Idempotent(cmd) || cmd.Name() == "sadd"
	}))
	s.proxy.arm(fault{on: "sadd", times: 2, cutAfter: true})
	require.NoError(t, s.client.SAdd(t.Context(), "set", "a").Err())
	s.proxy.arm(fault{on: "incr", times: 1, cutAfter: true})
	require.Error(t, s.client.Incr(t.Context(), "n").Err())
}

func TestWatchIsNeverLost(t *testing.T) {
	t.Parallel()
	b := &ledger{}
	s := setUp(t, noDelay(retry.WithBudget(b)))
	ctx := t.Context()
	require.NoError(t, s.direct.Set(ctx, "k", "1", 0).Err())
	calls := 0
	s.proxy.arm(fault{on: "get", times: 1, cutAfter: true})
	err := s.client.Watch(ctx, func(tx *redis.Tx) error {
		calls++
		if err := tx.Get(ctx, "k").Err(); err != nil {
			return err
		}
		_, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error { p.Set(ctx, "k", "2", 0); return nil })
		return err
	}, "k")
	require.Error(t, err, "on another connection nothing would be watched")
	assert.Equal(t, 1, calls)
	assert.Equal(t, [3]int{3, 1, 0}, b.counts(), "WATCH, GET and UNWATCH; what the session cannot send is not tried again")
	assert.Equal(t, "1", s.direct.Get(ctx, "k").Val())

	err = s.client.Watch(ctx, func(tx *redis.Tx) error {
		require.NoError(t, s.direct.Set(ctx, "k", "other", 0).Err())
		_, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error { p.Set(ctx, "k", "2", 0); return nil })
		return err
	}, "k")
	assert.Equal(t, redis.TxFailedErr, err, "comparable by ==")
	assert.Equal(t, "other", s.direct.Get(ctx, "k").Val())
}

func TestBlockingPopIsNotRepeated(t *testing.T) {
	t.Parallel()
	s := setUp(t, noDelay())
	require.NoError(t, s.direct.RPush(t.Context(), "list", "a", "b").Err())
	s.proxy.arm(fault{on: "blpop", times: 1, cutAfter: true})
	require.Error(t, s.client.BLPop(t.Context(), time.Second, "list").Err())
	assert.Equal(t, int64(1), s.direct.LLen(t.Context(), "list").Val())
	_, err := s.client.BLPop(t.Context(), 100*time.Millisecond, "empty").Result()
	assert.Equal(t, redis.Nil, err)
}

func TestNoConnectionLeaks(t *testing.T) {
	t.Parallel()
	s := setUp(t, noDelay())
	ctx := t.Context()
	const calls = 1000
	s.proxy.arm(fault{on: "fault:a", times: calls / 4, cutAfter: true})
	s.proxy.arm(fault{on: "fault:b", times: calls / 4, cutBefore: true})
	s.proxy.arm(fault{on: "fault:c", times: calls, reply: "-LOADING Redis is loading\r\n"})
	for i := range calls {
		key := "fault:" + string(rune('a'+i%4))
		if i%8 < 4 {
			_ = s.client.Get(ctx, key).Err()
			continue
		}
		_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error { p.Get(ctx, key); p.Incr(ctx, "n"); return nil })
		if err != nil && !errors.Is(err, redis.Nil) {
			assert.Error(t, err)
		}
	}
	stats := s.client.PoolStats()
	assert.LessOrEqual(t, stats.TotalConns, uint32(4+16))
	assert.Equal(t, stats.TotalConns, stats.IdleConns, "every connection was given back")
}
