package budgetredis_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/budgetredis"
)

// A tally counts what several goroutines do to budgets.
type tally struct{ calls, spent, refunds atomic.Int64 }

func (a *tally) String() string {
	return fmt.Sprintf("%d calls, %d withdrawals, %d refunds", a.calls.Load(), a.spent.Load(), a.refunds.Load())
}

// balance returns what must be in a bucket without a floor that held tokens at first.
func (a *tally) balance(tokens, ratio float64) float64 {
	return tokens + ratio*float64(a.calls.Load()) - float64(a.spent.Load()-a.refunds.Load())
}

// patiently are times that nothing exceeds, also on a machine that is very busy.
func patiently(ratio float64) []budgetredis.Option {
	return []budgetredis.Option{
		budgetredis.WithFloor(0), budgetredis.WithRatio(ratio), budgetredis.WithBurst(1000), budgetredis.WithBatch(50),
		budgetredis.WithLease(5 * time.Minute), budgetredis.WithTimeout(30 * time.Second),
	}
}

// awaitExchanges waits until each replica has made an exchange that began now or later.
func awaitExchanges(t *testing.T, client *redis.Client) {
	t.Helper()
	numbers := func() map[string]int {
		all := map[string]int{}
		for field, record := range client.HGetAll(t.Context(), key).Val() {
			if strings.HasPrefix(field, "r:") {
				var n int
				_, err := fmt.Sscan(record, &n)
				require.NoError(t, err)
				all[field] = n
			}
		}
		return all
	}
	before := numbers()
	require.Eventually(t, func() bool {
		now := numbers()
		for id, n := range before {
			if now[id] < n+2 {
				return false
			}
		}
		return true
	}, time.Minute, ms)
}

// workOn makes calls with a retry each on every budget, of which a third is given back, until
// the function that it returns is called.
func (a *tally) workOn(seed uint64, budgets []*budgetredis.Budget) (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{}, len(budgets))
	for i, b := range budgets {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		go func() {
			defer func() { ended <- struct{}{} }()
			tick := time.NewTicker(4 * ms)
			defer tick.Stop()
			for {
				select {
				case <-end:
					return
				case <-tick.C:
				}
				a.calls.Add(1)
				b.Deposit()
				if b.Withdraw() {
					a.spent.Add(1)
					if random.IntN(3) == 0 {
						a.refunds.Add(1)
						b.Refund()
					}
				}
			}
		}()
	}
	return func() {
		close(end)
		for range budgets {
			<-ended
		}
	}
}
