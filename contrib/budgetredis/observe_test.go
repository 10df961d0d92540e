package budgetredis_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/budgetredis"
	"github.com/observable-go/toolkit/internal/signaltest"
	"github.com/observable-go/toolkit/resilience/budget"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// keptLines keeps the lines that a budget writes, as the level and the text of each.
type keptLines struct {
	slog.Handler
	mu    sync.Mutex
	lines []string
}

func (k *keptLines) Enabled(context.Context, slog.Level) bool { return true }

func (k *keptLines) Handle(_ context.Context, r slog.Record) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r.Level > slog.LevelDebug {
		k.lines = append(k.lines, r.Level.String()+" "+r.Message)
	}
	return nil
}

func (k *keptLines) take() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	taken := k.lines
	k.lines = nil
	return taken
}

// observedBudget returns a budget as newBudget does, with telemetry.
func observedBudget(t *testing.T, client redis.Scripter, opts ...budgetredis.Option) *budgetredis.Budget {
	t.Helper()
	b, err := budgetredis.New(client, "shop", append([]budgetredis.Option{
		budgetredis.WithRefresh(20 * ms), budgetredis.WithLease(200 * ms), budgetredis.WithTimeout(100 * ms),
	}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}

// metricsOf are the metrics of the budget of all replicas that are not 0.
func metricsOf(t *testing.T, s *signaltest.Signals) map[string]float64 {
	t.Helper()
	found := map[string]float64{}
	for _, name := range []string{
		telemetry.MetricSharedBudgetMode, telemetry.MetricSharedBudgetChanges, telemetry.MetricSharedBudgetTokens, telemetry.MetricSharedBudgetCapacity,
	} {
		for attributes, value := range s.Metric(t, name) {
			if value != 0 {
				found[name[len("resilience.shared_budget."):]+" "+attributes] = value
			}
		}
	}
	return found
}

// What metrics and lines say when Redis comes, goes, and the budget is closed.
func TestSignals(t *testing.T) {
	t.Parallel()
	for _, without := range []budgetredis.Mode{budgetredis.Closed, budgetredis.Local} {
		t.Run(without.String(), func(t *testing.T) {
			t.Parallel()
			s := startServer(t)
			s.kill()
			signals, lines := signaltest.New(), &keptLines{}
			opts := []budgetredis.Option{
				budgetredis.WithFloor(0), budgetredis.WithRatio(1), budgetredis.WithTelemetry(signals.Metrics()...),
				budgetredis.WithTelemetry(telemetry.WithLogger(slog.New(lines))),
			}
			capacity := 10.0
			if without == budgetredis.Local {
				capacity = 7
				opts = append(opts, budgetredis.WithLocal(budget.MustNew("share", budget.WithBurst(7), budget.WithTelemetry(telemetry.Off()))))
			}
			b := observedBudget(t, newClient(t, s.addr), opts...)
			exchanges := func(result string) float64 {
				return signals.Metric(t, telemetry.MetricSharedBudgetExchanges)["shop "+result]
			}
			await := func(result string) {
				t.Helper()
				before := exchanges(result)
				require.Eventually(t, func() bool { return exchanges(result) > before }, 10*time.Second, 5*ms)
			}
			await("failure")
			assert.Equal(t, map[string]float64{"mode shop " + without.String(): 1, "capacity shop": 100}, metricsOf(t, signals))
			assert.Equal(t, map[string]float64{"shop": capacity}, signals.Metric(t, telemetry.MetricBudgetCapacity))
			said := lines.take()
			require.Len(t, said, 1)
			assert.Contains(t, said[0], "WARN shop: The shared budget begins as "+without.String()+": ")
			assert.Contains(t, said[0], "connection refused")

			s.start()
			awaitMode(t, b, budgetredis.Shared)
			fill(t, newClient(t, s.addr), 90)
			await("success")
			require.Eventually(t, func() bool { return signals.Metric(t, telemetry.MetricSharedBudgetTokens)["shop"] == 89 }, 5*time.Second, 5*ms)
			assert.Equal(t, map[string]float64{"mode shop shared": 1, "changes shop shared": 1, "capacity shop": 100, "tokens shop": 89}, metricsOf(t, signals))
			assert.Equal(t, map[string]float64{"shop": 1}, signals.Metric(t, telemetry.MetricBudgetTokens), "what it holds itself")
			assert.Equal(t, map[string]float64{"shop": 10}, signals.Metric(t, telemetry.MetricBudgetCapacity))
			assert.Equal(t, exchanges("success"), signals.Metric(t, telemetry.MetricSharedBudgetLatency)["shop"])
			assert.Equal(t, []string{"INFO shop: The shared budget went from " + without.String() + " to shared"}, lines.take())

			s.kill()
			awaitMode(t, b, without)
			require.Eventually(t, func() bool { return len(metricsOf(t, signals)) == 4 }, 5*time.Second, ms)
			assert.Equal(t, map[string]float64{
				"mode shop " + without.String(): 1, "changes shop shared": 1, "changes shop " + without.String(): 1, "capacity shop": 100,
			}, metricsOf(t, signals))
			said = lines.take()
			require.Len(t, said, 1)
			assert.Contains(t, said[0], "WARN shop: The shared budget went from shared to "+without.String()+": ")

			require.NoError(t, b.Close())
			assert.Empty(t, lines.take())
			assert.Empty(t, signals.Metric(t, telemetry.MetricBudgetTokens), "it has ended")
			assert.Equal(t, map[string]float64{"changes shop shared": 1, "changes shop " + without.String(): 1}, metricsOf(t, signals))
		})
	}
}

// An exchange that takes too long is told apart from one that fails.
func TestExchangeTimesOut(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	p := startProxy(t, s.addr)
	signals := signaltest.New()
	b := observedBudget(t, newClient(t, p.addr()), budgetredis.WithTelemetry(signals.Metrics()...))
	awaitMode(t, b, budgetredis.Shared)
	p.set(parted)
	require.Eventually(t, func() bool {
		return signals.Metric(t, telemetry.MetricSharedBudgetExchanges)["shop timed_out"] > 0
	}, 10*time.Second, 5*ms)
	assert.Zero(t, signals.Metric(t, telemetry.MetricSharedBudgetExchanges)["shop failure"])
	p.set(fair)
}

// Close is no trouble: it is no change of mode, and counts no exchange that it does not wait for.
func TestSignalsOfClose(t *testing.T) {
	t.Parallel()
	signals, lines := signaltest.New(), &keptLines{}
	b := observedBudget(t, newClient(t, startServer(t).addr), append(slowly(), budgetredis.WithTelemetry(signals.Metrics()...),
		budgetredis.WithTelemetry(telemetry.WithLogger(slog.New(lines))))...)
	awaitMode(t, b, budgetredis.Shared)
	require.NoError(t, b.Close())
	assert.Equal(t, []string{"INFO shop: The shared budget went from closed to shared"}, lines.take())
	assert.Equal(t, map[string]float64{"changes shop shared": 1}, metricsOf(t, signals))
	exchanges := signals.Metric(t, telemetry.MetricSharedBudgetExchanges)
	assert.Zero(t, exchanges["shop failure"]+exchanges["shop timed_out"])
}

// A hook of the client that panics ends no process.
func TestClientThatPanics(t *testing.T) {
	t.Parallel()
	signals, lines := signaltest.New(), &keptLines{}
	b := observedBudget(t, panicking{}, budgetredis.WithTelemetry(signals.Metrics()...),
		budgetredis.WithTelemetry(telemetry.WithLogger(slog.New(lines))))
	require.Eventually(t, func() bool {
		return signals.Metric(t, telemetry.MetricSharedBudgetExchanges)["shop failure"] > 1
	}, 10*time.Second, 5*ms)
	assert.Equal(t, budgetredis.Closed, b.Mode())
	assert.Equal(t, []string{"WARN shop: The shared budget begins as closed: budgetredis: the client panicked: boom"}, lines.take())
}

type panicking struct{ redis.Scripter }

func (panicking) EvalSha(context.Context, string, []string, ...any) *redis.Cmd {
	panic(errors.New("boom"))
}

// A client that keeps its deadline does not end sooner than the exchange. That it failed is told
// once, and the next exchange asks Redis again.
func TestExchangeThatTimesOutCountsOnce(t *testing.T) {
	t.Parallel()
	signals, client := signaltest.New(), &silent{}
	observedBudget(t, client, budgetredis.WithTimeout(20*ms), budgetredis.WithTelemetry(signals.Metrics()...))
	timedOut := func() float64 { return signals.Metric(t, telemetry.MetricSharedBudgetExchanges)["shop timed_out"] }
	require.Eventually(t, func() bool { return timedOut() >= 10 }, 10*time.Second, 5*ms)
	counted := timedOut() // before the calls, of which there may be more meanwhile
	assert.GreaterOrEqual(t, float64(client.calls.Load()), counted)
}

// A silent client waits for an answer until its deadline.
type silent struct {
	redis.Scripter
	calls atomic.Int64
}

func (s *silent) EvalSha(ctx context.Context, _ string, _ []string, _ ...any) *redis.Cmd {
	s.calls.Add(1)
	<-ctx.Done()
	cmd := redis.NewCmd(ctx)
	cmd.SetErr(ctx.Err())
	return cmd
}
