package budgetredis_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/budgetredis"
	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/resilience/budget"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// fill puts tokens into the bucket of a server whose budget has no floor.
func fill(t *testing.T, client *redis.Client, tokens float64) {
	t.Helper()
	require.Eventually(t, func() bool { return client.HExists(t.Context(), key, "balance").Val() }, 5*time.Second, ms)
	require.NoError(t, client.HSet(t.Context(), key, "balance", tokens*1e6).Err())
}

// slowly are long times, within which a test does all it does.
func slowly() []budgetredis.Option {
	return []budgetredis.Option{
		budgetredis.WithFloor(0), budgetredis.WithLease(10 * time.Second), budgetredis.WithTimeout(2 * time.Second), budgetredis.WithBurst(1000),
	}
}

// The server executes, and every second answer is lost; go-redis and the budget send again.
// Each token is there once at the end: spent, or back in the bucket.
func TestLostAnswersLoseAndDoubleNothing(t *testing.T) {
	t.Parallel()
	const tokens = 400
	s := startServer(t)
	direct := newClient(t, s.addr)
	p := startProxy(t, s.addr)
	b := newBudget(t, newClient(t, p.addr()), append(slowly(), budgetredis.WithRatio(0.25), budgetredis.WithBatch(50))...)
	fill(t, direct, tokens)
	var spent, refunds, calls atomic.Int64
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			random := rand.New(rand.NewPCG(7, uint64(i)))
			tick := time.NewTicker(2 * ms)
			defer tick.Stop()
			for range 400 {
				<-tick.C
				if random.IntN(60) == 0 {
					p.loseAnswers(1 + random.IntN(6)) // more than go-redis sends again by itself
				}
				calls.Add(1)
				b.Deposit()
				if b.Withdraw() {
					spent.Add(1)
					if random.IntN(3) == 0 {
						b.Refund()
						refunds.Add(1)
					}
				}
			}
		})
	}
	group.Wait()
	assert.Positive(t, p.faults())
	p.loseAnswers(0)
	require.NoError(t, b.Close())
	t.Logf("%d calls, %d withdrawals, %d refunds, %v in the bucket", calls.Load(), spent.Load(), refunds.Load(), stateOf(t, direct))
	want := tokens + 0.25*float64(calls.Load()) - float64(spent.Load()-refunds.Load())
	assert.InDelta(t, want, stateOf(t, direct).balance, 1e-6)
	assert.Zero(t, stateOf(t, direct).out)
	assert.Greater(t, spent.Load(), int64(200))
	assert.EqualValues(t, 5, direct.HLen(t.Context(), key).Val(), "Redis has forgotten the replica")
}

// Withdrawals and refunds of many goroutines while leases rotate, with replicas that come and go.
func TestReplicasThatComeAndGo(t *testing.T) {
	t.Parallel()
	const tokens = 600
	s := startServer(t)
	client := newClient(t, s.addr)
	opts := append(slowly(), budgetredis.WithRatio(1))
	first := newBudget(t, client, opts...)
	fill(t, client, tokens)
	var spent atomic.Int64
	var group sync.WaitGroup
	for range 6 {
		group.Go(func() {
			for range 5 {
				b := newBudget(t, client, opts...)
				var users sync.WaitGroup
				for range 3 {
					users.Go(func() {
						tick := time.NewTicker(ms)
						defer tick.Stop()
						for range 60 {
							<-tick.C
							if b.Withdraw() {
								spent.Add(1)
							}
							if b.Withdraw() {
								b.Refund()
							}
						}
					})
				}
				users.Wait()
				assert.NoError(t, b.Close())
			}
		})
	}
	group.Wait()
	require.NoError(t, first.Close())
	assert.InDelta(t, float64(tokens-spent.Load()), stateOf(t, client).balance, 1e-6)
	assert.Greater(t, spent.Load(), int64(100))
}

func TestAfterClose(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client := newClient(t, s.addr)
	b := newBudget(t, client, append(slowly(), budgetredis.WithRatio(1))...)
	fill(t, client, 600)
	require.Eventually(t, b.Withdraw, 5*time.Second, ms)
	require.NoError(t, b.Close())
	require.NoError(t, b.Close())
	assert.Equal(t, budgetredis.Closed, b.Mode())
	assert.InDelta(t, 599, stateOf(t, client).balance, 0)
	assert.False(t, b.Withdraw())
	b.Deposit()
	b.Refund()
	assert.InDelta(t, 599, stateOf(t, client).balance, 0)
	assert.Zero(t, b.Tokens())
}

// A later is the real clock and a while.
type later struct {
	clock.Clock
	by atomic.Int64
}

func (l *later) Now() time.Time { return time.Now().Add(time.Duration(l.by.Load())) }

func (l *later) NewSignal() clock.Signal { return clock.NewSignal(nil) }

func (l *later) Go(f func()) { go f() }

func (l *later) Random() float64 { return 0 }

func (l *later) Wait(ctx context.Context, d time.Duration) error {
	var timer clock.Timer
	return timer.Wait(ctx, nil, d)
}

func (l *later) WithTimeoutCause(ctx context.Context, d time.Duration, cause error) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, cause)
}

// A replica that stands still for minutes, and wakes with an old lease, neither spends it nor
// gives it back.
func TestReplicaThatWakes(t *testing.T) {
	t.Parallel()
	client := newClient(t, startServer(t).addr)
	other := newBudget(t, client, append(slowly(), budgetredis.WithRatio(1))...)
	awaitMode(t, other, budgetredis.Shared)
	require.NoError(t, other.Close())
	fill(t, client, 1000)
	watch := &later{}
	b := newBudget(t, client, append(slowly(), budgetredis.WithRatio(1), budgetredis.WithRefresh(4*time.Second), budgetredis.WithClock(watch))...)
	awaitMode(t, b, budgetredis.Shared)
	assert.InDelta(t, 1, b.Tokens(), 0)
	watch.by.Store(int64(10 * time.Second))
	assert.Equal(t, budgetredis.Shared, b.Mode(), "it does not know yet")
	assert.False(t, b.Withdraw())
	assert.Zero(t, b.Tokens())
	require.NoError(t, b.Close())
	assert.InDelta(t, 999, stateOf(t, client).balance, 0)
}

func TestCloseAtOnce(t *testing.T) {
	t.Parallel()
	client := newClient(t, startServer(t).addr)
	var group sync.WaitGroup
	for range 50 {
		b := newBudget(t, client)
		for range 2 {
			group.Go(func() { assert.NoError(t, b.Close()) })
		}
		group.Go(func() { b.Deposit(); b.Withdraw(); b.Refund() })
	}
	group.Wait()
}

// Close does not wait for a Redis that hangs, also if the client has no timeouts of its own.
func TestCloseWhileRedisHangs(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	patient := redis.NewClient(&redis.Options{Addr: s.addr, ReadTimeout: time.Minute, PoolSize: 2})
	defer func() { _ = patient.Close() }()
	const timeout = 300 * ms
	b := newBudget(t, patient, budgetredis.WithLease(time.Minute), budgetredis.WithTimeout(timeout))
	awaitMode(t, b, budgetredis.Shared)
	s.signal(syscall.SIGSTOP)
	defer s.signal(syscall.SIGCONT)
	began := time.Now()
	require.NoError(t, b.Close())
	assert.Less(t, time.Since(began), 2*timeout+2*time.Second)
}

// A client that does not obey deadlines is waited for: there is never a second exchange beside.
func TestClientThatDoesNotObeyDeadlines(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	var running, most atomic.Int64
	patient := redis.NewClient(&redis.Options{Addr: s.addr, ReadTimeout: time.Minute})
	defer func() { _ = patient.Close() }()
	client := &counted{Scripter: patient, running: &running, most: &most}
	b := newBudget(t, client, budgetredis.WithFloor(1000), budgetredis.WithTimeout(5*ms))
	require.Eventually(t, b.Withdraw, 5*time.Second, ms)
	s.signal(syscall.SIGSTOP)
	awaitMode(t, b, budgetredis.Closed)
	assert.False(t, b.Withdraw())
	s.signal(syscall.SIGCONT)
	awaitMode(t, b, budgetredis.Shared)
	require.Eventually(t, b.Withdraw, 5*time.Second, ms)
	assert.EqualValues(t, 1, most.Load())
}

type counted struct {
	redis.Scripter
	running, most *atomic.Int64
}

func (c *counted) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	if n := c.running.Add(1); n > c.most.Load() {
		c.most.Store(n)
	}
	defer c.running.Add(-1)
	return c.Scripter.EvalSha(ctx, sha, keys, args...)
}

func TestNilBudget(t *testing.T) {
	t.Parallel()
	var b *budgetredis.Budget
	b.Deposit()
	b.Refund()
	assert.False(t, b.Withdraw())
	assert.Empty(t, b.Name())
	assert.Zero(t, b.Tokens())
	assert.Zero(t, b.Capacity())
	assert.Equal(t, budgetredis.Closed, b.Mode())
	assert.NoError(t, b.Close())
}

func TestInvalidOptions(t *testing.T) {
	t.Parallel()
	client := newClient(t, freeAddress(t))
	for want, options := range map[string][]budgetredis.Option{
		"ratio: -1 is not allowed: want 0, or 0.000001 to 1 retries a call":                    {budgetredis.WithRatio(-1)},
		"floor: 2e+06 is not allowed: want 0, or 0.000001 to 1000000":                          {budgetredis.WithFloor(2e6)},
		"ratio and floor: 0 is not allowed":                                                    {budgetredis.WithRatio(0), budgetredis.WithFloor(0)},
		"burst: 0 is not allowed: want 1 to 1000000000":                                        {budgetredis.WithBurst(0)},
		"batch: 20 is not allowed: want 1 to 1000000 tokens, and no more than the burst of 10": {budgetredis.WithBurst(10), budgetredis.WithBatch(20)},
		"refresh: 1ms is not allowed: want 10ms to 1m0s":                                       {budgetredis.WithRefresh(ms)},
		"lease: 2s is not allowed: want more than twice the refresh of 1s":                     {budgetredis.WithLease(2 * time.Second)},
		`local: "shop" is not allowed: want a budget with another name`: {
			budgetredis.WithLocal(budget.MustNew("shop", budget.WithTelemetry(telemetry.Off()))),
		},
		"timeout: 5s is not allowed: want 1ms to 1m0s, and less than the lease of 5s": {budgetredis.WithTimeout(5 * time.Second)},
		"telemetry: WithMeterProvider: nil is not allowed":                            {budgetredis.WithTelemetry(telemetry.WithMeterProvider(nil))},
	} {
		_, err := budgetredis.New(client, "shop", options...)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, `budgetredis: "shop"`)
	}
	_, err := budgetredis.New(client, " ")
	require.ErrorContains(t, err, "name: ")
	_, err = budgetredis.New(nil, "shop")
	require.ErrorContains(t, err, "client: <nil> is not allowed: want a client of go-redis")
	var none *redis.Client
	_, err = budgetredis.New(none, "shop")
	require.ErrorContains(t, err, "client: <nil> is not allowed: want a client of go-redis")
	small, err := budgetredis.New(client, "small", budgetredis.WithBurst(5), budgetredis.WithTelemetry(telemetry.Off()))
	require.NoError(t, err)
	assert.InDelta(t, 5, small.Capacity(), 0)
	require.NoError(t, small.Close())
	b, err := budgetredis.New(client, "shop", nil, budgetredis.WithLocal(nil))
	require.NoError(t, err)
	assert.Equal(t, "shop", b.Name())
	require.NoError(t, b.Close())
}
