package budgetredis_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/budgetredis"
)

// A toxic is a fault of toxiproxy.
type toxic struct{ kind, attributes string }

// Those that lose requests on the way up, and answers on the way down.
var losses = []toxic{
	{"reset_peer", `{"timeout": 0}`},
	{"reset_peer", `{"timeout": 20}`},
	{"limit_data", `{"bytes": 0}`},
	{"limit_data", `{"bytes": 700}`}, // in the midst of a request or an answer
	{"timeout", `{"timeout": 0}`},    // nothing comes through, and the connection stays
	{"timeout", `{"timeout": 50}`},
}

var delays = []toxic{
	{"latency", `{"latency": 30, "jitter": 30}`},
	{"latency", `{"latency": 600000}`}, // a partition: all that was sent comes through when it ends
	{"bandwidth", `{"rate": 50}`},      // slower ones cut requests into pieces, and hang when the server dies
	{"slow_close", `{"delay": 100}`},
}

// A network stands between one replica and a server.
type network struct {
	t     *testing.T
	proxy *toxiproxy.Proxy
}

func startNetwork(t *testing.T, server string) *network {
	t.Helper()
	api := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := toxiproxy.NewProxy(api, t.Name(), "127.0.0.1:0", server)
	require.NoError(t, p.Start())
	t.Cleanup(p.Stop)
	return &network{t, p}
}

func (n *network) addr() string { return n.proxy.Listen }

// worsen adds one of the toxics in one of the directions. It must have none: of two, the one
// may wait forever for the other.
func (n *network) worsen(random *rand.Rand, toxics []toxic) toxic {
	n.t.Helper()
	chosen := toxics[random.IntN(len(toxics))]
	stream := []string{"upstream", "downstream"}[random.IntN(2)]
	_, err := n.proxy.Toxics.AddToxicJson(strings.NewReader(
		fmt.Sprintf(`{"type": %q, "stream": %q, "attributes": %s}`, chosen.kind, stream, chosen.attributes)))
	require.NoError(n.t, err)
	return chosen
}

func (n *network) mend() { n.proxy.Toxics.ResetToxics(n.t.Context()) }

// Whatever way requests and answers are lost, each token is there once at the end: spent, or
// back in the bucket.
func TestToxicsLoseAndDoubleNothing(t *testing.T) {
	t.Parallel()
	const replicas, tokens, ratio = 6, 300, 0.25
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	s := startServer(t)
	direct := newClient(t, s.addr)
	networks, budgets := make([]*network, replicas), make([]*budgetredis.Budget, replicas)
	for i := range replicas {
		networks[i] = startNetwork(t, s.addr)
		budgets[i] = newBudget(t, newClient(t, networks[i].addr()), patiently(ratio)...)
		awaitMode(t, budgets[i], budgetredis.Shared)
	}
	fill(t, direct, tokens)
	var work tally
	done := map[string]int{}
	stop := work.workOn(seed, budgets)
	random, tick := rand.New(rand.NewPCG(seed, 99)), time.NewTicker(60*ms)
	defer tick.Stop()
	for range 30 { // each lasts until the next one
		<-tick.C
		i := random.IntN(replicas)
		networks[i].mend()
		done[networks[i].worsen(random, losses).kind]++
	}
	for _, n := range networks {
		n.mend()
	}
	require.Eventually(t, func() bool { return work.spent.Load() > tokens/2 }, 30*time.Second, ms)
	awaitExchanges(t, direct) // Close gives up if one fails that was under way
	stop()
	for _, b := range budgets {
		assert.Equal(t, budgetredis.Shared, b.Mode())
		require.NoError(t, b.Close())
	}
	t.Logf("%v, %v in the bucket, %v", &work, stateOf(t, direct), done)
	assert.InDelta(t, work.balance(tokens, ratio), stateOf(t, direct).balance, 1e-6, "seed %d", seed)
	assert.Zero(t, stateOf(t, direct).out)
}
