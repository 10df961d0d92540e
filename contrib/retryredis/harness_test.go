package retryredis_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/retryredis"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/retry"
)

func TestMain(m *testing.M) {
	redis.SetLogger(quiet{}) // it has a line for each connection that cannot be made
	m.Run()
}

// startServer starts a Redis server on a free port of the loopback and returns its address
// and what stops it, which is also done at the end of the test.
func startServer(t *testing.T, addr string, args ...string) (address string, stop func()) {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		if os.Getenv("CI") == "true" {
			require.FailNow(t, "redis-server is missing: install the package redis-server")
		}
		t.Skip("SKIPPED, nothing of this was tested: install the package redis-server")
	}
	const tries = 5 // a port that was free may be taken by another test when the server asks for it
	for try := 1; ; try++ {
		address = addr
		if address == "" {
			address = freeAddress(t)
		}
		if stop = launch(t, path, address, args); awaitServer(t, address, try == tries) {
			t.Cleanup(stop)
			return address, stop
		}
		stop()
	}
}

// launch starts the program and returns what stops it.
func launch(t *testing.T, path, addr string, args []string) (stop func()) {
	t.Helper()
	port := func(addr string) string {
		_, port, err := net.SplitHostPort(addr)
		require.NoError(t, err)
		return port
	}
	all := append([]string{"--port", port(addr), "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir(), "--daemonize", "no"}, args...)
	if slices.Contains(args, "--cluster-enabled") {
		all = append(all, "--cluster-port", port(freeAddress(t)))
	}
	cmd := exec.CommandContext(t.Context(), path, all...)
	require.NoError(t, cmd.Start())
	return sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// awaitServer waits until the server answers, and reports whether it did. It fails the test if
// it must.
func awaitServer(t *testing.T, addr string, must bool) bool {
	t.Helper()
	ready := retry.MustNew("await", retry.WithBackoff(backoff.Constant{Interval: 20 * time.Millisecond, Jitter: backoff.NoJitter}),
		retry.WithMaxRetries(100), retry.WithUnknown(resilience.ClassRetryable))
	err := ready.Do(t.Context(), func(ctx context.Context) error {
		client := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1, DialerRetries: 1})
		defer func() { _ = client.Close() }()
		return client.Ping(ctx).Err()
	})
	if must {
		require.NoError(t, err)
	}
	return err == nil
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// A setup is a server, a proxy before it and a client of that with a policy.
type setup struct {
	server string
	stop   func()
	proxy  *proxy
	client *redis.Client
	direct *redis.Client // without the proxy and without a policy
}

// noDelay are retries that tests need not wait for.
func noDelay(opts ...retry.Option) *retry.Policy {
	return retry.MustNew("redis", append([]retry.Option{retry.WithBackoff(backoff.Constant{})}, opts...)...)
}

func setUp(t *testing.T, policy resilience.Policy, opts ...retryredis.Option) *setup {
	t.Helper()
	s := &setup{}
	s.server, s.stop = startServer(t, "")
	s.proxy = startProxy(t, s.server)
	s.client = newClient(t, s.proxy.addr(), policy, opts...)
	s.direct = redis.NewClient(&redis.Options{Addr: s.server})
	t.Cleanup(func() { _ = s.direct.Close() })
	return s
}

func newClient(t *testing.T, addr string, policy resilience.Policy, opts ...retryredis.Option) *redis.Client {
	t.Helper()
	client := redis.NewClient(retryredis.WithoutRetries(&redis.Options{Addr: addr, ReadTimeout: 2 * time.Second, PoolSize: 4}))
	t.Cleanup(func() { _ = client.Close() })
	require.NoError(t, retryredis.Instrument(client, policy, opts...))
	return client
}

// A ledger is a budget that counts what it is told.
type ledger struct {
	mu                             sync.Mutex
	deposits, withdrawals, refunds int
}

func (l *ledger) Deposit() { l.mu.Lock(); l.deposits++; l.mu.Unlock() }
func (l *ledger) Refund()  { l.mu.Lock(); l.refunds++; l.mu.Unlock() }
func (l *ledger) Withdraw() bool {
	l.mu.Lock()
	l.withdrawals++
	l.mu.Unlock()
	return true
}
func (l *ledger) counts() [3]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return [3]int{l.deposits, l.withdrawals, l.refunds}
}
