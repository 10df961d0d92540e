package main

import (
	"flag"
	"io"
	"net"
	"os"
	"path/filepath"
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
	assert.Equal(t, options{addr: "127.0.0.1:8080", rate: 50, seed: 1, patience: 400 * time.Millisecond, exportInterval: 5 * time.Second}, o)
}

func TestEndpoints(t *testing.T) {
	t.Parallel()
	o, err := parse([]string{"-otlp", "http://localhost:4318/"}, io.Discard)
	require.NoError(t, err)
	assert.Equal(t, "http://localhost:4318/v1/traces", o.otlpTraces)
	assert.Equal(t, "http://localhost:4318/v1/metrics", o.otlpMetrics)

	o, err = parse([]string{"-otlp", "http://localhost:4318", "-otlp-metrics", "http://localhost:9090/api/v1/otlp/v1/metrics"}, io.Discard)
	require.NoError(t, err)
	assert.Equal(t, "http://localhost:4318/v1/traces", o.otlpTraces)
	assert.Equal(t, "http://localhost:9090/api/v1/otlp/v1/metrics", o.otlpMetrics)
}

func TestFlagsThatAreNotAllowed(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"-addr", "8080"}, `-addr: "8080" is not allowed: want a host and a port, such as 127.0.0.1:8080`},
		{[]string{"-rate", "-1"}, `-rate: "-1" is not allowed: want 0 to 1000 orders a second`},
		{[]string{"-rate", "NaN"}, `-rate: "NaN" is not allowed: want 0 to 1000 orders a second`},
		{[]string{"-for", "-1s"}, `-for: "-1s" is not allowed: want at least 0s; 0s is without an end`},
		{[]string{"-attempt-timeout", "0"}, `-attempt-timeout: "0s" is not allowed: want 10ms to 1m`},
		{[]string{"-export-interval", "1ms"}, `-export-interval: "1ms" is not allowed: want at least 100ms`},
		{[]string{"-otlp", "localhost:4318"}, `-otlp: "localhost:4318" is not allowed: want a URL such as http://localhost:4318`},
		{[]string{"-otlp-traces", "/v1"}, `-otlp-traces: "/v1" is not allowed: want a URL such as http://localhost:4318`},
		{
			[]string{"-trace-url", "http://localhost:16686"},
			`-trace-url: "http://localhost:16686" is not allowed: want a URL with {trace_id} in it, such as http://localhost:16686/trace/{trace_id}`,
		},
		{[]string{"-rate", "fast"}, `invalid value "fast" for flag -rate: parse error: see -help`},
		{[]string{"-speed", "1"}, `flag provided but not defined: -speed: see -help`},
		{[]string{"now"}, `"now" is not allowed: want flags only, see -help`},
	} {
		_, err := parse(test.args, io.Discard)
		assert.EqualError(t, err, test.want)
	}
}

func TestAddressIsTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	o, err := parse([]string{"-addr", l.Addr().String()}, io.Discard)
	require.NoError(t, err)
	assert.EqualError(t, run(t.Context(), o, io.Discard), "-addr: "+l.Addr().String()+
		" is taken by another program: choose another port, such as -addr 127.0.0.1:8090, or -addr 127.0.0.1:0 for a free one")
}

func TestOtherPortsAreNearIfFree(t *testing.T) {
	t.Parallel()
	first, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = first.Close() })
	same, err := listenNear(first, 0, "127.0.0.1", true) // which is taken, by first
	require.NoError(t, err)
	t.Cleanup(func() { _ = same.Close() })
	assert.NotEqual(t, first.Addr(), same.Addr())
	next, err := listenNear(first, 1, "127.0.0.1", true)
	require.NoError(t, err)
	t.Cleanup(func() { _ = next.Close() })
	assert.NotEqual(t, first.Addr(), next.Addr())
}

// A shop that cannot open leaves the log of the one that is open alone.
func TestLogOfAnother(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	log := filepath.Join(t.TempDir(), "log")
	require.NoError(t, os.WriteFile(log, []byte("a line"), 0o600))
	o, err := parse([]string{"-addr", l.Addr().String(), "-log", log}, io.Discard)
	require.NoError(t, err)
	require.Error(t, run(t.Context(), o, io.Discard))
	text, err := os.ReadFile(log)
	require.NoError(t, err)
	assert.Equal(t, "a line", string(text))
}

func TestHelp(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	_, err := parse([]string{"-help"}, &out)
	require.ErrorIs(t, err, flag.ErrHelp)
	assert.Contains(t, out.String(), "-attempt-timeout")
}

func TestLogThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	o, err := parse([]string{"-addr", "127.0.0.1:0", "-log", t.TempDir() + "/none/log"}, io.Discard)
	require.NoError(t, err)
	assert.ErrorContains(t, run(t.Context(), o, io.Discard), "-log: open ")
}
