package budgetredis_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/budgetredis"
)

// Replicas that start before Redis is there grant nothing, and share as soon as it is.
func TestManyStartBeforeRedis(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.kill()
	budgets := make([]*budgetredis.Budget, 50)
	for i := range budgets {
		budgets[i] = newBudget(t, newClient(t, s.addr), budgetredis.WithFloor(500), budgetredis.WithLease(20*time.Second), budgetredis.WithTimeout(5*time.Second))
	}
	for _, b := range budgets {
		b.Deposit()
		assert.False(t, b.Withdraw())
		assert.Equal(t, budgetredis.Closed, b.Mode())
	}
	s.start()
	for _, b := range budgets {
		awaitMode(t, b, budgetredis.Shared)
	}
	for _, b := range budgets {
		require.Eventually(t, b.Withdraw, time.Minute, ms)
	}
}
