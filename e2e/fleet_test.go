package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"

	"github.com/observable-go/toolkit/contrib/budgetredis"
	"github.com/observable-go/toolkit/e2e/internal/backend"
	"github.com/observable-go/toolkit/resilience/budget"
	"github.com/observable-go/toolkit/resilience/inspect"
	"github.com/observable-go/toolkit/resilience/retry"
)

const (
	replicas = 3
	// localBurst is how many retries each replica has of its own while Redis is away.
	localBurst = 4
	burst      = 20
	stock      = "stock"
	stockGet   = "stock.get"
	stockRow   = `[data-budget="stock"]` // of the debug page
)

// A fleet is a service of some replicas that share a budget.
type fleet struct {
	t        *testing.T
	job      string
	without  budgetredis.Mode // while Redis is away
	redis    *backend.Redis
	callee   *callee
	replicas []*replica
}

// A replica is one process of the service, for Prometheus.
type replica struct {
	*service

	budget *budgetredis.Budget
	policy *retry.Policy
	page   string // its debug page
}

func startFleet(t *testing.T, without budgetredis.Mode) *fleet {
	t.Helper()
	needBackends(t)
	f := &fleet{t: t, job: "e2e-redis-" + without.String(), without: without, callee: newCallee(t)}
	var err error
	f.redis, err = backend.StartRedis("redis-"+without.String(), t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { f.redis.Stop() }) // the one of then
	for i := range replicas {
		f.replicas = append(f.replicas, f.replica(fmt.Sprint("replica-", i)))
	}
	return f
}

func (f *fleet) replica(instance string) *replica {
	f.t.Helper()
	r := &replica{service: newService(f.t, f.job, attribute.String("service.instance.id", instance))}

	page, err := inspect.New(inspect.WithTitle(f.job+" "+instance), inspect.WithMeterProvider(r.meters))
	require.NoError(f.t, err)
	f.t.Cleanup(func() { assert.NoError(f.t, page.Close()) })
	mux := http.NewServeMux()
	mux.Handle("/debug/resilience/", page)
	server := httptest.NewServer(mux)
	f.t.Cleanup(server.Close)
	r.page = server.URL + "/debug/resilience/"

	client := redis.NewClient(&redis.Options{Addr: f.redis.Addr, ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1})
	f.t.Cleanup(func() { _ = client.Close() })
	// Redis must be away for longer than a busy machine takes, to be away for the budget.
	opts := []budgetredis.Option{
		budgetredis.WithRefresh(100 * time.Millisecond), budgetredis.WithTimeout(4 * time.Second), budgetredis.WithLease(5 * time.Second),
		budgetredis.WithFloor(10), budgetredis.WithBurst(burst), budgetredis.WithTelemetry(r.telemetry()),
	}
	if f.without == budgetredis.Local {
		local, err := budget.New(stock+".local", budget.WithBurst(localBurst), budget.WithRatio(0), budget.WithFloor(leastFloor),
			budget.WithTelemetry(r.telemetry()))
		require.NoError(f.t, err)
		opts = append(opts, budgetredis.WithLocal(local))
	}
	r.budget, err = budgetredis.New(client, stock, opts...)
	require.NoError(f.t, err)
	f.t.Cleanup(func() { assert.NoError(f.t, r.budget.Close()) })
	r.policy, err = retry.New(stockGet, retry.WithMaxRetries(maxRetries), retry.WithBackoff(every(shortDelay)),
		retry.WithBudget(r.budget), retry.WithTelemetry(r.telemetry()))
	require.NoError(f.t, err)
	return r
}

// call sends a call of a replica.
func (f *fleet) call(r *replica, call, plan string) error {
	return r.policy.Do(f.t.Context(), func(ctx context.Context) error { return f.callee.ask(ctx, stockGet, call, plan) })
}

// saved sends a call from each replica that a retry saves, once the replica has a token.
func (f *fleet) saved(when string) {
	f.t.Helper()
	for i, r := range f.replicas {
		require.Eventually(f.t, func() bool { return r.budget.Tokens() >= 1 }, waitLimit, pollInterval)
		require.NoError(f.t, f.call(r, fmt.Sprint("saved ", when, i), "503,200"))
	}
}

// sees waits until a query, once everything is exported, has these values and no others but 0, by the value of a label.
func (f *fleet) sees(want map[string]float64, by, query string) {
	f.t.Helper()
	var got map[string]float64
	require.EventuallyWithT(f.t, func(c *assert.CollectT) {
		for _, r := range f.replicas {
			require.NoError(c, r.meters.ForceFlush(f.t.Context()))
		}
		samples, err := prometheus.Query(f.t.Context(), query)
		require.NoError(c, err)
		got = map[string]float64{}
		for _, s := range samples {
			if s.Labels["job"] == f.job && s.Value != 0 {
				got[s.Labels[by]] = s.Value
			}
		}
		assert.Equal(c, want, got)
	}, waitLimit, 10*pollInterval, query)
}

// of returns a query with the labels of the fleet in place of %s.
func (f *fleet) of(query string) string {
	return fmt.Sprintf(query, fmt.Sprintf(`job=%q,resilience_budget_name=%q`, f.job, stock))
}

// each is 1 for each replica.
func (f *fleet) each() map[string]float64 {
	all := map[string]float64{}
	for i := range f.replicas {
		all[fmt.Sprint("replica-", i)] = 1
	}
	return all
}
