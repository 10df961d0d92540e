package retryredis_test

import (
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/retryredis"
)

func TestIdempotent(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		want bool
		args []any
	}{
		{true, []any{"GET", "k"}},
		{true, []any{"set", "k", "v"}},
		{true, []any{"set", "k", "v", "ex", 5}},
		{true, []any{"SET", "k", "v", "KEEPTTL"}},
		{true, []any{"set", "k", "nx"}}, // a value
		{true, []any{"set", "k", "v", "PX", 5}},
		{false, []any{"set", "k", "v", "nx"}},
		{false, []any{"set", "k", "v", "NX", "ex", 5}},
		{false, []any{"set", "k", "v", "ex", 5, "get"}},
		{false, []any{"set", "k", "v", "xx"}},
		{false, []any{"set", "k", "v", []byte("ignored")}},
		{true, []any{"expire", "k", 5}},
		{false, []any{"expire", "k", 5, "nx"}},
		{true, []any{"del", "k"}},
		{true, []any{"getex", "k"}},
		{true, []any{"getex", "k", "EX", 5}},
		{true, []any{"getex", "k", "persist"}},
		{false, []any{"getex", "k", "exat", 5}}, // deletes what is past
		{false, []any{"ltrim", "l", 1, -1}},     // takes one more each time
		{false, []any{"persist", "k"}},          // answers whether it was the first
		{true, []any{"xread", "streams", "s", "0-0"}},
		{false, []any{"xread", "block", 0, "streams", "s", "$"}}, // skips what came in between
		{false, []any{"xread", "streams", "s", []byte("$")}},
		{true, []any{"watch", "k"}},
		{true, []any{"hset", "h", "f", "v"}},
		{false, []any{"incr", "k"}},
		{false, []any{"setnx", "k", "v"}},
		{false, []any{"sadd", "s", "m"}},
		{false, []any{"publish", "c", "m"}},
		{false, []any{"eval", "return 1", 0}},
		{false, []any{"exec"}},
		{false, []any{"blpop", "l", 0}},
		{false, []any{""}},
		{false, nil},
	} {
		assert.Equal(t, test.want, retryredis.Idempotent(redis.NewCmd(t.Context(), test.args...)), "%v", test.args)
	}
}

// writersOnPurpose are the writing commands that Idempotent allows with any arguments, or those of the test.
var writersOnPurpose = []string{
	"del", "expire", "expireat", "hdel", "hmset", "hset", "lset", "mset", "pexpire", "pexpireat", "psetex", "set", "setex", "setrange", "unlink",
}

func TestIdempotentAgreesWithTheServer(t *testing.T) {
	t.Parallel()
	addr, _ := startServer(t, "")
	client := redis.NewClient(&redis.Options{Addr: addr})
	t.Cleanup(func() { _ = client.Close() })
	commands, err := client.Command(t.Context()).Result()
	require.NoError(t, err)
	require.Greater(t, len(commands), 200)
	for name, info := range commands {
		args := []any{name, "k", "1"}
		idempotent := retryredis.Idempotent(redis.NewCmd(t.Context(), args...))
		switch {
		case info.ReadOnly:
			assert.True(t, idempotent, name)
		case slices.Contains(info.Flags, "write"):
			assert.Equal(t, slices.Contains(writersOnPurpose, name), idempotent, name)
		}
	}
}
