package budgetredis_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/budgetredis"
	"github.com/observable-go/toolkit/resilience/budget"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// The settings of the runs under faults.
const (
	replicas = 10
	burst    = 60
	floor    = 100
	ratio    = 0.01
	batch    = 8
	lease    = 150 * ms
)

// bounds are the two forms of the bound that hold at once: the fewer the replicas, the tighter
// is the first.
func bounds(replicas int) map[string]bound {
	const tau = 2 * lease
	return map[string]bound{
		"N*k":     {constant: burst + float64(replicas*batch), rate: floor, ratio: ratio, early: tau, late: tau},
		"rho*tau": {constant: burst + floor*tau.Seconds(), rate: floor, ratio: ratio, early: 2 * tau, late: tau},
	}
}

// settings are the options of the runs under faults.
func settings() []budgetredis.Option {
	return []budgetredis.Option{
		budgetredis.WithBurst(burst), budgetredis.WithFloor(floor), budgetredis.WithRatio(ratio), budgetredis.WithBatch(batch), budgetredis.WithLease(lease),
	}
}

// assertBound checks the bound of so many replicas, and more, over every window of a record.
func assertBound(t *testing.T, r *record, replicas int, more bound) {
	t.Helper()
	for form, b := range bounds(replicas) {
		b.constant += more.constant
		b.rate += more.rate
		left := r.tightest(b)
		t.Logf("%s: in the tightest window %.1f were left of the bound", form, left)
		assert.GreaterOrEqual(t, left, 0.0, form)
	}
}

// A gate is a client whose exchanges can be held up, as in a process that gets no time.
type gate struct {
	redis.Scripter
	mu sync.RWMutex
}

func (g *gate) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.Scripter.EvalSha(ctx, sha, keys, args...)
}

// A fleet is replicas of one service, each with a network of its own.
type fleet struct {
	server   *server
	direct   *redis.Client
	networks []*network
	gates    []*gate
	budgets  []*budgetredis.Budget
}

func newFleet(t *testing.T, opts func() []budgetredis.Option) *fleet {
	t.Helper()
	f := &fleet{server: startServer(t)}
	f.direct = newClient(t, f.server.addr)
	for range replicas {
		n := startNetwork(t, f.server.addr)
		g := &gate{Scripter: newClient(t, n.addr())}
		f.networks, f.gates = append(f.networks, n), append(f.gates, g)
		f.budgets = append(f.budgets, newBudget(t, g, append(settings(), opts()...)...))
	}
	return f
}

// work makes calls until the time is up, of which most fail while there is trouble, and few
// otherwise. Some retries are given back later.
func work(ctx context.Context, d *diary, random *rand.Rand, trouble func(time.Duration) bool) {
	defer d.end()
	tick := time.NewTicker(2 * ms)
	defer tick.Stop()
	var waiting []time.Time // when a granted retry is given back
	for ctx.Err() == nil {
		now := <-tick.C
		for len(waiting) > 0 && now.After(waiting[0]) {
			d.Refund()
			waiting = waiting[1:]
		}
		d.Deposit()
		if !trouble(time.Since(d.record.began)) && random.IntN(100) > 0 {
			continue
		}
		for range random.IntN(3) {
			if d.Withdraw() && random.IntN(5) == 0 {
				waiting = append(waiting, now.Add(time.Duration(random.Int64N(int64(300*ms)))))
			}
		}
	}
}

func always(time.Duration) bool { return true }

// Of each round the first part is calm. It is long enough for more to drip than the bucket holds.
const (
	round = 2 * time.Second
	calm  = 1500 * ms
)

func nowAndThen(elapsed time.Duration) bool { return elapsed%round > calm }

// trouble does faults at random until the time is up, and mends them all.
func (f *fleet) trouble(ctx context.Context, t *testing.T, random *rand.Rand) map[string]int {
	t.Helper()
	done := map[string]int{}
	pause := func(most time.Duration) {
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(random.Int64N(int64(most)))):
		}
	}
	for ctx.Err() == nil {
		pause(250 * ms)
		switch i := random.IntN(replicas); random.IntN(8) {
		case 0:
			done["killed"]++
			f.server.kill()
			pause(2 * lease)
			f.server.start()
		case 1:
			done["flushed"]++
			_ = f.direct.FlushAll(context.Background()).Err()
		case 2:
			done["frozen"]++
			f.server.signal(syscall.SIGSTOP)
			pause(3 * lease)
			f.server.signal(syscall.SIGCONT)
		case 3:
			done["starved"]++
			f.gates[i].mu.Lock()
			pause(2 * lease)
			f.gates[i].mu.Unlock()
		default: // the network of some replicas
			for _, i := range random.Perm(replicas)[:1+random.IntN(replicas)] { // each until its next one
				f.networks[i].mend()
				done[f.networks[i].worsen(random, slices.Concat(losses, delays)).kind]++
			}
			pause(2 * lease)
			for _, i := range random.Perm(replicas)[:replicas/2] {
				f.networks[i].mend()
			}
		}
	}
	for _, n := range f.networks {
		n.mend()
	}
	return done
}

// In every window of every run, whatever fails, the grants keep the bound.
func TestBoundUnderFaults(t *testing.T) {
	t.Parallel()
	for _, withLocal := range []bool{false, true} {
		seed := rand.Uint64()
		name := map[bool]string{false: "closed", true: "local"}[withLocal]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Logf("seed %d", seed)
			f := newFleet(t, func() []budgetredis.Option {
				if !withLocal {
					return nil
				}
				local := budget.MustNew("local", budget.WithRatio(0), budget.WithFloor(1), budget.WithBurst(2), budget.WithTelemetry(telemetry.Off()))
				return []budgetredis.Option{budgetredis.WithLocal(local)}
			})
			r := newRecord()
			ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
			defer stop()
			faults, mended := context.WithTimeout(ctx, 6*time.Second)
			defer mended()
			var group sync.WaitGroup
			for i, b := range f.budgets {
				life := ctx
				if i == 0 { // it dies with its tokens
					short, end := context.WithTimeout(ctx, 2*time.Second)
					defer end()
					life = short
				}
				group.Go(func() { work(life, r.of(b), rand.New(rand.NewPCG(seed, uint64(i))), nowAndThen) })
			}
			done := f.trouble(faults, t, rand.New(rand.NewPCG(seed, 99)))
			enough := func() bool { return r.grants.Load() > burst }
			assert.Eventually(t, enough, time.Minute, 10*ms, "the run shows nothing if there is hardly a grant")
			stop()
			group.Wait()
			t.Logf("%d calls, %d grants, %d refunds, %v", r.count(called), r.count(granted), r.count(refunded), done)
			if withLocal {
				assertBound(t, r, replicas, bound{constant: replicas * 2, rate: replicas})
			} else {
				assertBound(t, r, replicas, bound{})
			}
			for _, b := range f.budgets {
				awaitMode(t, b, budgetredis.Shared)
			}
		})
	}
}

// Without faults, what the bucket gives is granted in full, and the bound is nearly reached.
func TestDemandGetsAllThereIs(t *testing.T) {
	t.Parallel()
	f := newFleet(t, func() []budgetredis.Option { return nil })
	for _, b := range f.budgets {
		awaitMode(t, b, budgetredis.Shared)
	}
	full := func() bool { return stateOf(t, f.direct).balance > burst/2-5 }
	require.Eventually(t, full, 10*time.Second, 10*ms)
	r := newRecord()
	const span = 4 * time.Second
	ctx, stop := context.WithTimeout(t.Context(), span)
	defer stop()
	var group sync.WaitGroup
	for i, b := range f.budgets {
		group.Go(func() { work(ctx, r.of(b), rand.New(rand.NewPCG(1, uint64(i))), always) })
	}
	group.Wait()
	fair := floor*span.Seconds() + ratio*float64(r.count(called))
	got := float64(r.count(granted) - r.count(refunded))
	t.Logf("%.0f granted and used, of %.0f that came in and %d that were there", got, fair, burst)
	assert.Greater(t, got, 0.8*fair)
	assertBound(t, r, replicas, bound{})
}
