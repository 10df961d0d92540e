package budgetredis_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/budgetredis"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/budget"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

var errCoin = errors.New("the coin fell on the wrong side")

// offeredLoad lets every client make its calls, of which every attempt fails at 50 % and is
// tried again three times at most, and returns attempts per call. A client makes a call in
// each pace.
func offeredLoad(t *testing.T, budgets []resilience.Budget, calls int, pace time.Duration) float64 {
	t.Helper()
	var attempts atomic.Int64
	var group sync.WaitGroup
	for i, b := range budgets {
		p := retry.MustNew("model", retry.WithBudget(b), retry.WithMaxRetries(3), retry.WithBackoff(backoff.Constant{}),
			retry.WithUnknown(resilience.ClassRetryable), retry.WithTelemetry(telemetry.Off()))
		group.Go(func() {
			random := rand.New(rand.NewPCG(11, uint64(i)))
			first := time.NewTimer(time.Duration(random.Int64N(int64(pace)))) // they do not march in step
			<-first.C
			tick := time.NewTicker(pace)
			defer tick.Stop()
			for range calls {
				_ = p.Do(t.Context(), func(context.Context) error {
					attempts.Add(1)
					if random.IntN(2) == 0 {
						return errCoin
					}
					return nil
				})
				<-tick.C
			}
		})
	}
	group.Wait()
	return float64(attempts.Load()) / float64(calls*len(budgets))
}

// A service of 1,000 clients whose calls fail at 50 %: budgets of one client each allow the floor
// and the burst a thousand times over, so that the load grows as if there were none. A shared one
// keeps it near 1 + ratio. The calls of a client are few, as with a callee that many share.
func TestLoadOfAThousandClients(t *testing.T) {
	const clients, calls, pace = 1000, 40, 250 * ms // 4,000 calls a second for 10 seconds
	s := startServer(t)
	client := redis.NewClient(&redis.Options{Addr: s.addr, PoolSize: 20})
	t.Cleanup(func() { _ = client.Close() })
	shared, local := make([]resilience.Budget, clients), make([]resilience.Budget, clients)
	var closing sync.WaitGroup
	for i := range clients {
		b, err := budgetredis.New(client, "shop", budgetredis.WithTelemetry(telemetry.Off()), budgetredis.WithTimeout(2*time.Second))
		require.NoError(t, err)
		t.Cleanup(func() { closing.Go(func() { _ = b.Close() }) })
		shared[i] = b
		local[i] = budget.MustNew("local", budget.WithTelemetry(telemetry.Off()))
	}
	loads := make(chan float64, 1)
	go func() { loads <- offeredLoad(t, local, calls, pace) }()
	withShared := offeredLoad(t, shared, calls, pace)
	withLocal := <-loads
	t.Logf("offered load: %.3f with a shared budget, %.3f with budgets of each client", withShared, withLocal)
	assert.LessOrEqual(t, withShared, 1.12)
	assert.GreaterOrEqual(t, withShared, 1.03, "and the retries that are allowed are made")
	assert.GreaterOrEqual(t, withLocal, 1.6)
	t.Cleanup(closing.Wait)
}
