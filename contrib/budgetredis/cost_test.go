package budgetredis_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/budgetredis"
	"github.com/observable-go/toolkit/internal/signaltest"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/budget"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// quietly are times within which no exchange disturbs a measurement.
func quietly() []budgetredis.Option {
	return []budgetredis.Option{
		budgetredis.WithFloor(0), budgetredis.WithRatio(1), budgetredis.WithRefresh(time.Minute), budgetredis.WithLease(10 * time.Minute),
		budgetredis.WithTimeout(time.Second), budgetredis.WithBurst(1e9), budgetredis.WithBatch(1e6),
	}
}

func TestDecisionsDoNotAllocate(t *testing.T) {
	client := newClient(t, startServer(t).addr)
	signals := signaltest.New()
	granting := observedBudget(t, client, budgetredis.WithBurst(1e6), budgetredis.WithBatch(1e5), budgetredis.WithRatio(1),
		budgetredis.WithLease(time.Minute), budgetredis.WithFloor(0), budgetredis.WithTelemetry(signals.Metrics()...))
	fill(t, client, 1e6)
	require.Eventually(t, func() bool {
		for range 10_000 { // it asks for more, the more was wanted
			granting.Withdraw()
		}
		return granting.Tokens() > 5000
	}, 10*time.Second, ms)
	denying := newBudget(t, client, append(quietly(), budgetredis.WithKeyPrefix("empty:"))...)
	closed := newBudget(t, newClient(t, freeAddress(t)), quietly()...)
	for name, b := range map[string]resilience.Budget{"granting": granting, "denying": denying, "closed": closed} {
		// The goroutine that exchanges allocates now and then: an average below one is none.
		assert.Zero(t, testing.AllocsPerRun(1000, func() {
			b.Deposit()
			if b.Withdraw() {
				b.Refund()
			}
		}), name)
	}
}

// BenchmarkDecision measures a call's deposit and a retry's withdrawal beside those of a budget
// of one process.
func BenchmarkDecision(b *testing.B) {
	local := budget.MustNew("local", budget.WithRatio(1), budget.WithBurst(1e9))
	empty := budget.MustNew("empty", budget.WithRatio(1e-6), budget.WithFloor(0), budget.WithBurst(1))
	empty.Withdraw()
	shared := benchmarkBudget(b, "full")
	dry := benchmarkBudget(b, "dry")
	for _, c := range []struct {
		name string
		b    resilience.Budget
	}{{"grant/local", local}, {"grant/shared", shared}, {"deny/local", empty}, {"deny/shared", dry}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			granted := 0
			for b.Loop() {
				c.b.Deposit()
				if c.b.Withdraw() {
					granted++
				}
			}
			b.ReportMetric(float64(granted)/float64(b.N), "granted/op")
		})
		b.Run(c.name+"/parallel", func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					c.b.Deposit()
					c.b.Withdraw()
				}
			})
		})
	}
}

// A grantor stands for a Redis that has as much as is wanted, or nothing: a benchmark takes more
// tokens than a real one would lease.
type grantor struct {
	redis.Scripter
	full bool
}

func (g grantor) EvalSha(ctx context.Context, _ string, _ []string, args ...any) *redis.Cmd {
	cmd := redis.NewCmd(ctx)
	wanted, _ := args[11].(int64)
	if !g.full {
		wanted = 0
	}
	cmd.SetVal([]any{wanted, int64(0), time.Now().UnixMicro()})
	return cmd
}

func benchmarkBudget(b *testing.B, name string) *budgetredis.Budget {
	b.Helper()
	s, err := budgetredis.New(grantor{full: name == "full"}, name, budgetredis.WithRatio(1), budgetredis.WithBurst(1e9), budgetredis.WithBatch(1e6),
		budgetredis.WithRefresh(10*ms))
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, s.Close()) })
	for deadline := time.Now().Add(5 * time.Second); s.Mode() != budgetredis.Shared; {
		require.True(b, time.Now().Before(deadline))
		<-time.After(ms)
	}
	return s
}

// Redis executes a script for each replica in each refresh, and one for each batch that goes to
// a replica whose tokens are gone.
func TestOperationsOfRedis(t *testing.T) {
	s := startServer(t)
	client := redis.NewClient(&redis.Options{Addr: s.addr, PoolSize: 20})
	defer func() { _ = client.Close() }()
	const replicas, refresh, rate, span = 1000, time.Second, 500, 3 * time.Second
	budgets := make([]*budgetredis.Budget, replicas)
	var group sync.WaitGroup
	for i := range budgets {
		b, err := budgetredis.New(client, "shop", budgetredis.WithFloor(rate), budgetredis.WithRatio(0), budgetredis.WithRefresh(refresh),
			budgetredis.WithBurst(2*replicas),
			budgetredis.WithTimeout(2*time.Second), budgetredis.WithTelemetry(telemetry.Off()))
		require.NoError(t, err)
		defer func() { group.Go(func() { _ = b.Close() }) }()
		budgets[i] = b
	}
	defer group.Wait()
	for _, b := range budgets {
		awaitMode(t, b, budgetredis.Shared)
	}
	use := func(demand int, span time.Duration) (granted, seconds float64) {
		began := time.Now()
		for tick := time.NewTicker(100 * ms); time.Since(began) < span; <-tick.C {
			for i := range demand {
				for budgets[i].Withdraw() {
					granted++
				}
			}
		}
		return granted, time.Since(began).Seconds()
	}
	perRefresh := replicas / (0.95 * refresh.Seconds()) // a wait is shortened by up to a tenth
	for _, demand := range []int{0, 100, replicas} {
		use(demand, refresh) // each asks once out of turn when its need begins
		before := scripts(t, client)
		granted, seconds := use(demand, span)
		operations := float64(scripts(t, client)-before) / seconds
		predicted := perRefresh + granted/seconds/budgetredis.DefaultBatch
		t.Logf("%d of %d replicas in need: %.0f operations a second, predicted about %.0f, for %.0f grants a second",
			demand, replicas, operations, predicted, granted/seconds)
		assert.InEpsilon(t, predicted, operations, 0.25)
	}
}

// scripts returns how many scripts the server has executed.
func scripts(t *testing.T, client *redis.Client) (calls int64) {
	t.Helper()
	info, err := client.InfoMap(t.Context(), "commandstats").Result()
	require.NoError(t, err)
	for command, stats := range info["Commandstats"] {
		if strings.HasPrefix(command, "cmdstat_eval") {
			var n int64
			_, err := fmt.Sscanf(stats, "calls=%d", &n)
			require.NoError(t, err)
			calls += n
		}
	}
	return calls
}
