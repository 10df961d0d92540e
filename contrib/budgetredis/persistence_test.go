package budgetredis_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/budgetredis"
)

// A server that keeps all that it answered is killed in the midst of exchanges, again and again.
// The balance and the numbers of the requests survive: nothing is lost, and a request that
// was executed before the kill and comes again after it counts once.
func TestRestartThatKeepsTheData(t *testing.T) {
	t.Parallel()
	const replicas, tokens, ratio, kills = 4, 300, 0.25, 5
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	s := startServer(t, "--appendonly", "yes", "--appendfsync", "always")
	direct := newClient(t, s.addr)
	proxies, budgets := make([]*proxy, replicas), make([]*budgetredis.Budget, replicas)
	for i := range replicas {
		proxies[i] = startProxy(t, s.addr)
		budgets[i] = newBudget(t, newClient(t, proxies[i].addr()), patiently(ratio)...)
		awaitMode(t, budgets[i], budgetredis.Shared)
	}
	fill(t, direct, tokens)
	var work tally
	stop := work.workOn(seed, budgets)
	random, tick := rand.New(rand.NewPCG(seed, 99)), time.NewTicker(200*ms)
	defer tick.Stop()
	for range kills {
		<-tick.C
		for _, p := range proxies { // these are sure to be sent again after the restart
			p.loseAnswers(1 << 20)
		}
		<-time.After(time.Duration(random.Int64N(int64(60 * ms))))
		s.kill()
		for _, p := range proxies {
			p.loseAnswers(0)
		}
		s.start()
	}
	require.Eventually(t, func() bool { return work.spent.Load() > tokens/2 }, 30*time.Second, ms)
	awaitExchanges(t, direct) // Close gives up if one fails that was under way
	stop()
	faults := 0
	for i, b := range budgets {
		faults += proxies[i].faults()
		assert.Equal(t, budgetredis.Shared, b.Mode())
		require.NoError(t, b.Close())
	}
	t.Logf("%v, %v in the bucket, %d answers lost", &work, stateOf(t, direct), faults)
	assert.InDelta(t, work.balance(tokens, ratio), stateOf(t, direct).balance, 1e-6, "seed %d", seed)
	assert.Zero(t, stateOf(t, direct).out)
	assert.Positive(t, faults)
}
