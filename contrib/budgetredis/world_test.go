package budgetredis_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A world is replicas, a Redis whose clock the test sets, and a network between them that
// loses, delays and doubles what is on it.
type world struct {
	t        *testing.T
	client   *redis.Client
	script   *redis.Script
	random   *rand.Rand
	settings ask // burst, floor, ratio and lease of all
	batch    int64
	now      int64 // the time, in microseconds
	ahead    int64 // how much Redis' clock is ahead of it
	replicas []*reference
	letters  []*letter // on the way, also copies
	replies  []reply
	born     int // replicas

	balance                  float64
	thrift                   int // how seldom replicas spend
	began, spent, refunded   int64
	reported                 []held // calls by the time until which they count in the bound
	calls                    int64  // reported, in all
	forward, revived, losses int64
}

func (w *world) lease() int64 { return w.settings.lease.Microseconds() }

func (w *world) newReference() *reference {
	w.born++
	return &reference{id: fmt.Sprint(w.born)}
}

// execute runs the script at Redis' time.
func (w *world) execute(l *letter) (granted, server int64) {
	w.t.Helper()
	server = w.now + w.ahead
	a, s := l.ask, w.settings
	values, err := w.script.Run(w.t.Context(), w.client, []string{key}, a.id, a.sequence, a.stamp, s.burst*1e6, int64(s.ratio*1e6), s.floor*1e6,
		w.lease(), 3_600_000, a.deposits, a.returned, a.kept, a.wanted, a.keep, a.leaving, server/1e6, server%1e6).Int64Slice()
	require.NoError(w.t, err)
	w.read()
	return values[0], values[2]
}

func (w *world) read() {
	w.t.Helper()
	balance, err := w.client.HGet(w.t.Context(), key, "balance").Float64()
	if err != nil {
		require.ErrorIs(w.t, err, redis.Nil)
	}
	w.balance = balance / 1e6
}

// arrive executes a request that has come to Redis.
func (w *world) arrive(l *letter) {
	granted, server := w.execute(l)
	if !l.executed {
		l.executed = true
		w.calls += l.deposits
		w.reported = append(w.reported, held{l.deposits, w.now + 2*w.lease()})
	}
	l.granted = max(l.granted, granted)
	w.replies = append(w.replies, reply{l, granted, server})
}

// stale reports whether Redis would not count a request now.
func (w *world) stale(l *letter) bool { return l.stamp > 0 && w.now+w.ahead-l.stamp > w.lease() }

// unexecuted returns the requests that may come to Redis for the first time.
func (w *world) unexecuted() (all []*letter) {
	seen := map[*letter]bool{}
	note := func(l *letter) {
		if l != nil && !l.executed && !seen[l] {
			seen[l] = true
			all = append(all, l)
		}
	}
	for _, l := range w.letters {
		note(l)
	}
	for _, r := range w.replicas {
		note(r.pending)
	}
	return all
}

// step makes Redis' clock step.
func (w *world) step(by int64) {
	before := slices.DeleteFunc(w.unexecuted(), func(l *letter) bool { return !w.stale(l) })
	w.ahead += by
	if by > 0 {
		w.forward++
	}
	for _, l := range before {
		if !w.stale(l) {
			w.revived += l.rest
		}
	}
}

// take removes a random element.
func take[T any](random *rand.Rand, from *[]T, keep bool) (one T, ok bool) {
	if len(*from) == 0 {
		return one, false
	}
	i := random.IntN(len(*from))
	one = (*from)[i]
	if !keep {
		*from = slices.Delete(*from, i, i+1)
	}
	return one, true
}

// happen lets one thing happen by chance. The worst of it is 0: none fails, 1: the network and
// replicas do, 2: Redis loses data too, 3: its clock steps too.
func (w *world) happen(worst uint64) {
	n := w.random.IntN(len(w.replicas))
	r := w.replicas[n]
	switch p := w.random.IntN(1000); {
	case p < 150:
		w.now += w.random.Int64N(w.lease() / 20)
	case p < 152:
		w.now += w.random.Int64N(2 * w.lease())
	case p < 280:
		r.send(w)
	case p < 540:
		if l, ok := take(w.random, &w.letters, worst > 0 && w.random.IntN(10) == 0); ok {
			w.arrive(l)
		}
	case p < 780:
		if a, ok := take(w.random, &w.replies, false); ok {
			w.answer(a)
		}
	case p < 880:
		r.demand = w.random.Int64N(w.batch + 1) // whatever it asks for, the bound holds
		for range w.random.IntN(5) {
			if w.random.IntN(w.thrift) == 0 {
				r.withdraw(w)
			}
		}
	case p < 900:
		r.refund(w)
	case p < 960:
		if r.shared {
			r.deposits += w.random.Int64N(5)
		}
	case p < 965:
		r.giveUp(w)
	case worst < 1:
	case p < 975:
		take(w.random, &w.letters, false)
	case p < 985:
		take(w.random, &w.replies, false)
	case p < 988:
		r.leave(w)
		w.replicas[n] = w.newReference()
	case p < 990:
		w.replicas[n] = w.newReference()
	case worst < 2:
	case p < 995:
		w.losses++
		require.NoError(w.t, w.client.Del(w.t.Context(), key).Err())
		w.balance = 0
	case worst > 2:
		w.step(w.random.Int64N(4*w.lease()) - 2*w.lease())
	}
}

// check compares what there is with what there may be.
func (w *world) check() error {
	var unspent, unreported, all, early int64
	senders := map[*reference]bool{}
	for _, r := range w.replicas {
		senders[r] = true
		unspent += r.older.left(w.now) + r.newer.left(w.now)
		unreported += r.refunds
		if l := r.pending; l != nil && l.executed && w.now < l.began+w.lease() {
			unspent += l.granted
		}
	}
	all = unspent
	for _, l := range w.unexecuted() {
		unreported += l.returned - l.rest
		all += l.rest
		if !w.stale(l) {
			senders[l.from] = true
			unspent += l.rest
		}
	}
	w.reported = slices.DeleteFunc(w.reported, func(h held) bool { return w.now > h.until })
	for _, h := range w.reported {
		early += h.tokens
	}
	s, lease, slack := w.settings, w.settings.lease.Seconds(), 1e-3
	drip := float64(s.floor) * lease
	leased := drip*float64(1+min(w.losses, 1)+w.forward) + s.ratio*float64(early) // tau is one lease until data are lost
	price := min(float64(int64(len(senders))*w.batch), leased) + float64(w.revived)
	if is, most := w.balance+float64(unspent), float64(s.burst)+price; is > most+slack {
		return fmt.Errorf("the bound is %f, and there are %f tokens", most, is)
	}

	came := float64(s.floor)*float64(w.now-w.began)/1e6 + drip*float64(w.forward) + s.ratio*float64(w.calls) + float64(w.refunded)
	if is := w.balance + float64(all+unreported+w.spent); is > came+slack {
		return fmt.Errorf("%f tokens came in, and there are or were %f", came, is)
	}
	return nil
}

// pick returns one of some values.
func pick[T any](random *rand.Rand, of ...T) T { return of[random.IntN(len(of))] }

// The script keeps the bound against a reference that knows of every token where it is: after
// everything that happens, the bucket and what replicas hold unspent are no more than the bound
// says, and all that was ever spent came in before.
func TestScriptAgainstReference(t *testing.T) {
	t.Parallel()
	const runs, length = 80, 2000
	text, err := os.ReadFile("lease.lua")
	require.NoError(t, err)
	const clock = "redis.call('TIME')"
	require.Equal(t, 1, strings.Count(string(text), clock))
	script := redis.NewScript(strings.Replace(string(text), clock, "{ARGV[15], ARGV[16]}", 1))
	client := newClient(t, startServer(t).addr)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	var spent, losses int64
	for run := range uint64(runs) {
		w := &world{t: t, client: client, script: script, random: rand.New(rand.NewPCG(seed, run)), now: 1e15, began: 1e15}
		w.furnish()
		for step := range length {
			w.happen(run % 4)
			require.NoError(t, w.check(), "run %d, step %d", run, step)
		}
		spent, losses = spent+w.spent, losses+w.losses
	}
	t.Logf("%d retries, %d losses of data", spent, losses)
	assert.Positive(t, spent)
	assert.Positive(t, losses)
}

// furnish draws the settings and the replicas, and begins without data.
func (w *world) furnish() {
	w.batch, w.thrift = pick[int64](w.random, 1, 5, 20), pick(w.random, 1, 10, 100)
	w.settings = ask{
		burst: w.batch * pick[int64](w.random, 1, 2, 5), floor: pick[int64](w.random, 0, 1, 2, 5),
		ratio: pick(w.random, 0, 0.01, 1), lease: time.Duration(2+w.random.IntN(4)) * time.Second,
	}
	for range 1 + w.random.IntN(12) {
		w.replicas = append(w.replicas, w.newReference())
	}
	require.NoError(w.t, w.client.Del(w.t.Context(), key).Err())
}
