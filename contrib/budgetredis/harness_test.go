package budgetredis_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/budgetredis"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

const ms = time.Millisecond

func TestMain(m *testing.M) {
	redis.SetLogger(quiet{}) // it has a line for each connection that cannot be made
	zerolog.SetGlobalLevel(zerolog.Disabled)
	if orders := os.Getenv(ordersVariable); orders != "" {
		beReplica(orders)
		return
	}
	m.Run()
}

type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

// A server is a real redis-server that a test can kill, start again and freeze.
type server struct {
	t    *testing.T
	addr string
	path string
	args []string
	dir  string
	mu   sync.Mutex
	cmd  *exec.Cmd
}

// startServer starts a server on a free port of the loopback, which ends with the test. The
// first argument may be a configuration file.
func startServer(t *testing.T, args ...string) *server {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		if os.Getenv("CI") == "true" {
			require.FailNow(t, "redis-server is missing: install the package redis-server")
		}
		t.Skip("SKIPPED, nothing of this was tested: install the package redis-server")
	}
	s := &server{t: t, path: path, args: args}
	t.Cleanup(s.kill)
	for range 5 { // a port that was free may be taken by another test when the server asks for it
		s.addr, s.dir = freeAddress(t), t.TempDir()
		if s.tryStart() {
			return s
		}
		s.kill()
	}
	require.FailNow(t, "redis-server does not start")
	return nil
}

// start starts the server again, with the data that it has kept: none, unless its arguments
// say otherwise.
func (s *server) start() {
	s.t.Helper()
	require.True(s.t, s.tryStart())
}

// tryStart starts the server and reports whether it answers.
func (s *server) tryStart() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	args := append(slices.Clone(s.args), "--port", port(s.t, s.addr), "--bind", "127.0.0.1", "--save", "", "--dir", s.dir)
	if slices.Contains(s.args, "--cluster-enabled") {
		args = append(args, "--cluster-port", port(s.t, freeAddress(s.t)))
	}
	cmd := exec.CommandContext(context.Background(), s.path, args...)
	require.NoError(s.t, cmd.Start())
	s.cmd = cmd
	client := redis.NewClient(&redis.Options{Addr: s.addr, MaxRetries: -1})
	defer func() { _ = client.Close() }()
	tick := time.NewTicker(10 * ms)
	defer tick.Stop()
	for range 500 {
		if client.Ping(context.Background()).Err() == nil {
			return true
		}
		<-tick.C
	}
	return false
}

func (s *server) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

// signal stops the server in its tracks with SIGSTOP, or lets it go on with SIGCONT.
func (s *server) signal(sig syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	require.NoError(s.t, s.cmd.Process.Signal(sig))
}

func port(t *testing.T, addr string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	return port
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

func newClient(t *testing.T, addr string) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true, DialerRetries: 1, MinRetryBackoff: ms})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// quickly are short times.
func quickly() []budgetredis.Option {
	return []budgetredis.Option{
		budgetredis.WithRefresh(20 * ms), budgetredis.WithLease(200 * ms), budgetredis.WithTimeout(100 * ms),
		budgetredis.WithTelemetry(telemetry.Off()),
	}
}

// newBudget returns a budget with short times, which ends with the test.
func newBudget(t *testing.T, client redis.Scripter, opts ...budgetredis.Option) *budgetredis.Budget {
	t.Helper()
	b, err := budgetredis.New(client, "shop", append(quickly(), opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}

func awaitMode(t *testing.T, b *budgetredis.Budget, m budgetredis.Mode) {
	t.Helper()
	require.Eventually(t, func() bool { return b.Mode() == m }, time.Minute, ms)
}

// state is what the bucket holds in Redis, in tokens.
type state struct{ balance, out float64 }

func stateOf(t *testing.T, client *redis.Client) state {
	t.Helper()
	var s state
	read := func(field string) float64 {
		value, err := client.HGet(t.Context(), key, field).Float64()
		require.NoError(t, err)
		return value / 1e6
	}
	s.balance, s.out = read("balance"), read("out")
	return s
}

const key = "resilience:budget:{shop}"
