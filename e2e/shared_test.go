package e2e_test

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/budgetredis"
	"github.com/observable-go/toolkit/e2e/internal/backend"
	"github.com/observable-go/toolkit/resilience/budget"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// A turnstile lets a budget's exchanges with Redis pass one at a time, when it is told to, so that
// their number is known.
type turnstile struct {
	redis.Scripter

	came   chan struct{} // an exchange has come
	pass   chan struct{} // it may pass
	opened chan struct{} // all may
}

func newTurnstile(client redis.Scripter) *turnstile {
	return &turnstile{Scripter: client, came: make(chan struct{}), pass: make(chan struct{}), opened: make(chan struct{})}
}

// EvalSha is what every exchange begins with.
func (s *turnstile) EvalSha(ctx context.Context, sha1 string, keys []string, args ...any) *redis.Cmd {
	select {
	case s.came <- struct{}{}:
		select {
		case <-s.pass:
		case <-s.opened:
		}
	case <-s.opened:
	}
	return s.Scripter.EvalSha(ctx, sha1, keys, args...)
}

// next lets the exchange that waits pass. When it returns that has ended and was counted, as the one after it waits.
func (s *turnstile) next() {
	s.pass <- struct{}{}
	<-s.came
}

// exchangeLimit is longer than an exchange has to wait in a test.
const exchangeLimit = time.Minute

// sharedBudget returns a budget of a burst of 100 and a batch of 2, to which each call adds a retry. Its first exchange waits.
func (tr *traffic) sharedBudget(client redis.Scripter, name string, opts ...budgetredis.Option) (*budgetredis.Budget, *turnstile) {
	const burst, batch = 100, 2
	s := newTurnstile(client)
	b, err := budgetredis.New(s, name, append(opts, budgetredis.WithRatio(1), budgetredis.WithFloor(0), budgetredis.WithBurst(burst),
		budgetredis.WithBatch(batch), budgetredis.WithRefresh(10*time.Millisecond), budgetredis.WithTimeout(exchangeLimit),
		budgetredis.WithLease(10*exchangeLimit), budgetredis.WithTelemetry(tr.telemetry()))...)
	require.NoError(tr.t, err)
	tr.t.Cleanup(func() {
		close(s.opened)
		assert.NoError(tr.t, b.Close())
	})
	<-s.came
	tr.count(telemetry.MetricSharedBudgetCapacity, burst, name)
	tr.count(telemetry.MetricBudgetCapacity, b.Capacity(), name)
	return b, s
}

// sendThroughSharedBudgets sends calls through a budget on a Redis, and through two that Redis refuses.
func (tr *traffic) sendThroughSharedBudgets() {
	ctx := tr.t.Context()
	tr.servers++
	server, err := backend.StartRedis(fmt.Sprint("redis-", tr.name, "-", tr.servers), tr.t.TempDir())
	require.NoError(tr.t, err)
	tr.t.Cleanup(server.Stop)
	client := func(user string) *redis.Client {
		c := redis.NewClient(&redis.Options{Addr: server.Addr, Username: user, Password: user, MaxRetries: -1, ReadTimeout: time.Second / 2})
		tr.t.Cleanup(func() { _ = c.Close() })
		return c
	}
	admin := client("")
	require.NoError(tr.t, admin.Do(ctx, "ACL", "SETUSER", "guest", "on", "nopass", "~*", "-@all", "+@connection").Err())

	tr.sendShared(admin, client(""))
	tr.sendApart(client("guest"))
	tr.sendAlone(client("guest"))

	// Redis itself has counted the scripts that it ran, by a command that each has once, and those that it refused.
	ran, refused := commandStatistic(tr, admin, "hmget", "calls"), commandStatistic(tr, admin, "evalsha", "rejected_calls")
	require.Positive(tr.t, ran)
	tr.count(telemetry.MetricSharedBudgetExchanges, ran, "orders.shared", "success")
	tr.count(telemetry.MetricSharedBudgetLatency, ran, "orders.shared")
	require.InDelta(tr.t, 2*refusedExchanges, refused, 0)
	tr.count(telemetry.MetricSharedBudgetExchanges, refusedExchanges, "orders.apart", "failure")
	tr.count(telemetry.MetricSharedBudgetExchanges, refusedExchanges, "orders.alone", "failure")
}

// refusedExchanges are made by each budget that Redis refuses.
const refusedExchanges = 2

// commandStatistic returns what Redis has counted of a command.
func commandStatistic(tr *traffic, admin *redis.Client, command, name string) float64 {
	text, err := admin.Info(tr.t.Context(), "commandstats").Result()
	require.NoError(tr.t, err)
	found := regexp.MustCompile(`cmdstat_` + command + `:.*\b` + name + `=(\d+)`).FindStringSubmatch(text)
	require.NotNil(tr.t, found, text)
	n, err := strconv.ParseFloat(found[1], 64)
	require.NoError(tr.t, err)
	return n
}

// sendShared sends calls through a budget on Redis, which does not answer once.
func (tr *traffic) sendShared(admin, client *redis.Client) {
	const name = "orders.shared"
	ctx := tr.t.Context()
	b, s := tr.sharedBudget(client, name)
	s.next()
	require.Equal(tr.t, budgetredis.Shared, b.Mode())
	tr.count(telemetry.MetricSharedBudgetMode, 1, name, "shared")
	tr.count(telemetry.MetricSharedBudgetChanges, 1, name, "shared")

	p := tr.policy(name, retry.WithBudget(b))
	require.ErrorIs(tr.t, tr.call(ctx, p, name, "too-early", "503"), retry.ErrBudgetExhausted)
	for i := range 6 {
		require.NoError(tr.t, tr.call(ctx, p, name, fmt.Sprint("adds", i), "200"))
	}
	for b.Tokens() < maxRetries {
		s.next()
	}
	require.ErrorIs(tr.t, tr.call(ctx, p, name, "spends-two", "503"), retry.ErrExhausted)

	// While a pause lasts Redis answers nobody who runs a script.
	require.NoError(tr.t, admin.Do(ctx, "CLIENT", "PAUSE", exchangeLimit.Milliseconds(), "WRITE").Err())
	s.next()
	require.NoError(tr.t, admin.Do(ctx, "CLIENT", "UNPAUSE").Err())
	tr.count(telemetry.MetricSharedBudgetExchanges, 1, name, "timed_out")
	s.next() // the same request
	s.next() // what it has not reported yet
	tr.retries(name, map[string]result{"too-early": {"budget_exhausted", "503"}})

	calls := tr.callee.calls(name)
	granted := float64(tr.callee.requests(name) - len(calls))
	tr.count(telemetry.MetricBudgetWithdrawals, granted, name, "granted")
	tr.count(telemetry.MetricBudgetWithdrawals, 1, name, "denied")
	tr.count(telemetry.MetricBudgetTokens, b.Tokens(), name)
	tr.count(telemetry.MetricSharedBudgetTokens, float64(len(calls))-granted-b.Tokens(), name)
}

// sendApart sends calls through a budget that denies all retries, as Redis refuses it.
func (tr *traffic) sendApart(client *redis.Client) {
	const name = "orders.apart"
	b, s := tr.sharedBudget(client, name)
	p := tr.policy(name, retry.WithBudget(b))
	told := map[string]result{}
	for i := range many {
		call := fmt.Sprint("denied", i)
		require.ErrorIs(tr.t, tr.call(tr.t.Context(), p, name, call, "503"), retry.ErrBudgetExhausted)
		told[call] = result{"budget_exhausted", "503"}
	}
	for range refusedExchanges {
		s.next()
	}
	require.Equal(tr.t, budgetredis.Closed, b.Mode())
	tr.count(telemetry.MetricSharedBudgetMode, 1, name, "closed")
	tr.retries(name, told)
	tr.count(telemetry.MetricBudgetWithdrawals, float64(tr.callee.requests(name)), name, "denied")
}

// sendAlone sends calls through a budget that has a local one for a Redis that refuses it.
func (tr *traffic) sendAlone(client *redis.Client) {
	const name, own = "orders.alone", "orders.alone.local"
	local, err := budget.New(own, budget.WithBurst(maxRetries), budget.WithRatio(0), budget.WithFloor(leastFloor),
		budget.WithTelemetry(tr.telemetry()))
	require.NoError(tr.t, err)
	tr.count(telemetry.MetricBudgetCapacity, maxRetries, own)
	b, s := tr.sharedBudget(client, name, budgetredis.WithLocal(local))
	p := tr.policy(name, retry.WithBudget(b))
	require.ErrorIs(tr.t, tr.call(tr.t.Context(), p, name, "spends-all", "503"), retry.ErrExhausted)
	require.ErrorIs(tr.t, tr.call(tr.t.Context(), p, name, "comes-late", "503"), retry.ErrBudgetExhausted)
	for range refusedExchanges {
		s.next()
	}
	require.Equal(tr.t, budgetredis.Local, b.Mode())
	tr.count(telemetry.MetricSharedBudgetMode, 1, name, "local")
	tr.retries(name, map[string]result{"comes-late": {"budget_exhausted", "503"}})
	for _, counted := range []string{name, own} { // both are budgets, and both are asked
		tr.count(telemetry.MetricBudgetWithdrawals, float64(tr.callee.requests(name)-2), counted, "granted")
		tr.count(telemetry.MetricBudgetWithdrawals, 1, counted, "denied")
	}
}
