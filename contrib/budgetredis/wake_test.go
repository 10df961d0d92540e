package budgetredis_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/budgetredis"
)

// A replica that stands still for longer than a lease reports nothing from before: neither at its
// next exchange nor when it is closed. Calls and refunds count within two leases, or never.
func TestReplicaThatWakesReportsNothingOld(t *testing.T) {
	t.Parallel()
	for name, exchanges := range map[string]bool{"it exchanges": true, "it is closed": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := newClient(t, startServer(t).addr)
			other := newBudget(t, client, append(slowly(), budgetredis.WithRatio(1))...)
			awaitMode(t, other, budgetredis.Shared)
			require.NoError(t, other.Close())
			fill(t, client, 600)
			watch := &later{}
			b := newBudget(t, client, append(slowly(), budgetredis.WithRatio(1), budgetredis.WithRefresh(4*time.Second), budgetredis.WithClock(watch))...)
			awaitMode(t, b, budgetredis.Shared)
			for range 100 {
				b.Deposit()
				b.Refund()
			}
			watch.by.Store(int64(time.Minute))
			if exchanges {
				assert.False(t, b.Withdraw(), "its token has expired")
				require.Eventually(t, func() bool { return b.Tokens() > 0 }, 10*time.Second, ms)
			}
			require.NoError(t, b.Close())
			assert.InDelta(t, 599, stateOf(t, client).balance, 0)
		})
	}
}
