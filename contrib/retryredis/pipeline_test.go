package retryredis_test

import (
	"io"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/retryredis"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retry"
)

func TestPipelineIsRepeatedIfAllOfItMayBe(t *testing.T) {
	t.Parallel()
	s := setUp(t, noDelay())
	ctx := t.Context()
	require.NoError(t, s.direct.RPush(ctx, "list", "a", "b").Err())
	s.proxy.arm(fault{on: "lrange", times: 2, cutAfter: true, answer: 15}) // in the middle of the answers
	cmds, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, "k", "v", 0)
		p.LRange(ctx, "list", 0, -1)
		p.Get(ctx, "missing")
		return nil
	})
	assert.Equal(t, redis.Nil, err, "the answer of the third command")
	require.NoError(t, cmds[0].Err())
	assert.Equal(t, []string{"a", "b"}, cmds[1].(*redis.StringSliceCmd).Val())
	assert.Equal(t, 2, s.proxy.done("lrange"))
}

func TestPipelineWithAWriteIsNotRepeated(t *testing.T) {
	t.Parallel()
	s := setUp(t, noDelay())
	ctx := t.Context()
	s.proxy.arm(fault{on: "incr", times: 1, cutAfter: true})
	cmds, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Get(ctx, "k")
		p.Incr(ctx, "n")
		return nil
	})
	require.ErrorIs(t, err, io.EOF)
	assert.Equal(t, resilience.ClassRefused, resilience.Classify(err))
	for _, cmd := range cmds {
		assert.Error(t, cmd.Err())
	}
	assert.Equal(t, "1", s.direct.Get(ctx, "n").Val(), "executed exactly once")
}

// A second reading would find what the first writing left: nothing of the list here.
func TestPipelineThatWritesAfterItReadIsNotRepeated(t *testing.T) {
	t.Parallel()
	s := setUp(t, noDelay())
	ctx := t.Context()
	require.NoError(t, s.direct.RPush(ctx, "list", "a", "b").Err())
	drain := func(p redis.Pipeliner) error { p.LRange(ctx, "list", 0, -1); p.Del(ctx, "list"); return nil }
	s.proxy.arm(fault{on: "lrange", times: 1, cutAfter: true})
	_, err := s.client.Pipelined(ctx, drain)
	require.ErrorIs(t, err, io.EOF)
	assert.Equal(t, resilience.ClassRefused, resilience.Classify(err))
	assert.Zero(t, s.direct.Exists(ctx, "list").Val(), "executed, and the answer was lost")

	require.NoError(t, s.direct.RPush(ctx, "list", "c").Err())
	s.proxy.arm(fault{on: "lrange", times: 1, reply: "-LOADING Redis is loading the dataset in memory\r\n"})
	cmds, err := s.client.Pipelined(ctx, drain)
	require.NoError(t, err)
	assert.Equal(t, []string{"c"}, cmds[0].(*redis.StringSliceCmd).Val(), "not executed, so repeated")

	s.proxy.arm(fault{on: "fresh", times: 1, cutAfter: true})
	cmds, err = s.client.Pipelined(ctx, func(p redis.Pipeliner) error { p.Set(ctx, "fresh", "v", 0); p.Get(ctx, "fresh"); return nil })
	require.NoError(t, err)
	assert.Equal(t, "v", cmds[1].(*redis.StringCmd).Val())
}

func TestPipelineThatWasNotExecutedIsRepeated(t *testing.T) {
	t.Parallel()
	s := setUp(t, noDelay())
	ctx := t.Context()
	s.proxy.arm(fault{on: "incr", times: 2, reply: "-LOADING Redis is loading the dataset in memory\r\n"})
	cmds, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Incr(ctx, "n")
		p.Incr(ctx, "n")
		return nil
	})
	require.NoError(t, err)
	assert.Equal(t, int64(2), cmds[1].(*redis.IntCmd).Val())
	assert.NoError(t, cmds[0].Err(), "the errors of earlier attempts are gone")
}

func TestPipelineThatWasExecutedInPart(t *testing.T) {
	t.Parallel()
	s := setUp(t, noDelay())
	ctx := t.Context()
	// The proxy gives each command the whole reply, and the client reads no more than two.
	s.proxy.arm(fault{on: "incr", times: 1, reply: ":1\r\n-TRYAGAIN later\r\n"})
	_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Incr(ctx, "n")
		p.Incr(ctx, "n")
		return nil
	})
	require.True(t, redis.IsTryAgainError(err), "%v", err)
	assert.Equal(t, resilience.ClassRefused, resilience.Classify(err), "the first would be executed twice")
	assert.Equal(t, 1, s.proxy.done("incr"))
}

func TestAnswersOfAPipelineAreReturnedAsTheyAre(t *testing.T) {
	t.Parallel()
	s := setUp(t, noDelay())
	ctx := t.Context()
	require.NoError(t, s.direct.Set(ctx, "k", "v", 0).Err())
	cmds, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Get(ctx, "missing")
		p.LPush(ctx, "k", "x")
		p.Incr(ctx, "n")
		return nil
	})
	assert.Equal(t, redis.Nil, err, "as without a policy: the first error")
	assert.True(t, redis.HasErrorPrefix(cmds[1].Err(), "WRONGTYPE"))
	assert.Equal(t, int64(1), cmds[2].(*redis.IntCmd).Val())
	assert.Equal(t, "1", s.direct.Get(ctx, "n").Val())
}

func TestTransaction(t *testing.T) {
	t.Parallel()
	allowed := retryredis.WithIdempotent(func(cmd redis.Cmder) bool {
		return retryredis.Idempotent(cmd) || cmd.Name() == "exec"
	})
	set := func(p redis.Pipeliner) { p.Set(t.Context(), "k", "v", 0) }
	swap := func(p redis.Pipeliner) { p.Get(t.Context(), "k"); set(p) }
	incr := func(p redis.Pipeliner) { p.Incr(t.Context(), "n") }
	for name, test := range map[string]struct {
		opts     []retryredis.Option
		queue    func(redis.Pipeliner)
		fault    fault
		requests int
		ok       bool
	}{
		"lost":                 {nil, set, fault{on: "multi", times: 9, cutAfter: true}, 1, false},
		"lost, write":          {[]retryredis.Option{allowed}, incr, fault{on: "multi", times: 9, cutAfter: true}, 1, false},
		"lost, swap":           {[]retryredis.Option{allowed}, swap, fault{on: "multi", times: 9, cutAfter: true}, 1, false},
		"lost, but allowed":    {[]retryredis.Option{allowed}, set, fault{on: "multi", times: 2, cutAfter: true}, 2, true},
		"loading":              {nil, incr, fault{on: "multi", times: 2, reply: "-LOADING Redis is loading\r\n"}, 2, true},
		"exhausted by loading": {nil, incr, fault{on: "multi", times: 9, reply: "-LOADING Redis is loading\r\n"}, 4, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setUp(t, noDelay(), test.opts...)
			s.proxy.arm(test.fault)
			cmds, err := s.client.TxPipelined(t.Context(), func(p redis.Pipeliner) error { test.queue(p); return nil })
			assert.Equal(t, test.ok, err == nil, "%v", err)
			assert.Equal(t, test.requests, s.proxy.done("multi"))
			require.Equal(t, test.ok, cmds[0].Err() == nil)
			if n, isNumber := cmds[0].(*redis.IntCmd); isNumber && test.ok {
				assert.Equal(t, int64(1), n.Val(), "executed once")
			}
			if !test.ok && test.requests > 1 {
				assert.ErrorIs(t, err, retry.ErrExhausted)
			}
		})
	}
}
