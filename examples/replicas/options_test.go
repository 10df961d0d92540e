package main

import (
	"flag"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDefaults(t *testing.T) {
	t.Parallel()
	o, err := parse(nil, io.Discard)
	require.NoError(t, err)
	assert.Equal(t, options{
		replicas: 20, rate: 10,
		times: [numPhases]time.Duration{calm: 5 * time.Second, outage: 5 * time.Second, recovered: 3 * time.Second},
	}, o)
	assert.Equal(t, []kind{local, shared}, o.rounds())
	assert.LessOrEqual(t, o.lasts(), 30*time.Second)
}

func TestFlags(t *testing.T) {
	t.Parallel()
	o, err := parse([]string{"-replicas", "200", "-rate", "2", "-outage", "4s", "-kill-redis", "-local"}, io.Discard)
	require.NoError(t, err)
	assert.Equal(t, []kind{local, shared, killed}, o.rounds())
	assert.Equal(t, 36*time.Second, o.lasts())

	o, err = parse([]string{"-redis", "localhost:6379"}, io.Discard)
	require.NoError(t, err)
	assert.Equal(t, "localhost:6379", o.redis)
}

func TestFlagsThatAreNotAllowed(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ args, want string }{
		{"-replicas 0", "-replicas: 0 is not allowed: want 1 to 200"},
		{"-replicas 201", "-replicas: 201 is not allowed: want 1 to 200"},
		{"-rate 0", "-rate: 0 is not allowed: want 1 to 100 calls a second"},
		{"-rate 101", "-rate: 101 is not allowed: want 1 to 100 calls a second"},
		{
			"-replicas 150 -rate 3",
			"-rate: 3 is not allowed: want 1 to 2 calls a second with -replicas 150, as that is 300 of all, and 400 are the most",
		},
		{"-outage 500ms", "-outage: 500ms is not allowed: want 1s to 1m0s"},
		{"-outage 2m", "-outage: 2m0s is not allowed: want 1s to 1m0s"},
		{"-outage 3s -kill-redis", "-outage: 3s is not allowed: want 4s to 1m0s with -kill-redis, as leases expire after 2s"},
		{"-redis 6379", "-redis: 6379 is not allowed: want a host and a port, such as localhost:6379"},
		{"-redis :6379", "-redis: :6379 is not allowed: want a host and a port, such as localhost:6379"},
		{
			"-redis localhost:6379 -kill-redis",
			"-kill-redis: true is not allowed: want it without -redis, as only a redis-server of its own is killed",
		},
		{"-local", "-local: true is not allowed: want it with -kill-redis, as it is for a Redis that is gone"},
		{"-rate fast", `invalid value "fast" for flag -rate: parse error: see -help`},
		{"-speed 1", "flag provided but not defined: -speed: see -help"},
		{"now", `"now" is not allowed: want flags only, see -help`},
	} {
		_, err := parse(strings.Fields(test.args), io.Discard)
		assert.EqualError(t, err, test.want)
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	_, err := parse([]string{"-help"}, &out)
	require.ErrorIs(t, err, flag.ErrHelp)
	for _, name := range []string{"-replicas", "-rate", "-outage", "-redis", "-kill-redis", "-local"} {
		assert.Contains(t, out.String(), "\n  "+name)
	}
}
