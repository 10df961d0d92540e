package budgetredis_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// An ask is one request to the script, in whole tokens and times.
type ask struct {
	id                                                      string
	sequence, stamp, deposits, returned, kept, wanted, keep int64
	burst, floor                                            int64
	ratio                                                   float64
	lease                                                   time.Duration
	leaving                                                 bool
}

// A caller runs the script itself.
type caller struct {
	t      *testing.T
	client *redis.Client
	script *redis.Script
}

func newCaller(t *testing.T) *caller {
	t.Helper()
	text, err := os.ReadFile("lease.lua")
	require.NoError(t, err)
	return &caller{t, newClient(t, startServer(t).addr), redis.NewScript(string(text))}
}

func (c *caller) do(a ask) (granted, left, server int64) {
	c.t.Helper()
	if a.lease == 0 {
		a.lease = 5 * time.Second
	}
	if a.burst == 0 {
		a.burst = 100
	}
	values, err := c.script.Run(c.t.Context(), c.client, []string{key}, a.id, a.sequence, a.stamp, a.burst*1e6, int64(a.ratio*1e6), a.floor*1e6,
		a.lease.Microseconds(), 3_600_000, a.deposits, a.returned, a.kept, a.wanted, a.keep, a.leaving).Int64Slice()
	require.NoError(c.t, err)
	require.Len(c.t, values, 3)
	return values[0], values[1], values[2]
}

// set doctors the stored state.
func (c *caller) set(field string, value any) {
	c.t.Helper()
	require.NoError(c.t, c.client.HSet(c.t.Context(), key, field, value).Err())
}

func (c *caller) now() int64 {
	c.t.Helper()
	now, err := c.client.Time(c.t.Context()).Result()
	require.NoError(c.t, err)
	return now.UnixMicro()
}

func TestRequestCountsOnce(t *testing.T) {
	t.Parallel()
	c := newCaller(t)
	granted, left, _ := c.do(ask{id: "a", sequence: 1, wanted: 5, ratio: 1})
	assert.Zero(t, granted, "a new budget is empty")
	assert.Zero(t, left)

	request := ask{id: "a", sequence: 2, ratio: 1, deposits: 20, returned: 3, wanted: 5}
	for range 3 {
		granted, left, _ = c.do(request)
		assert.EqualValues(t, 5, granted, "the answer is the same each time")
		assert.EqualValues(t, 18, left, "and counts once")
	}
	granted, left, _ = c.do(ask{id: "a", sequence: 3, ratio: 1, wanted: 2})
	assert.EqualValues(t, 2, granted)
	assert.EqualValues(t, 16, left)
	granted, left, _ = c.do(request)
	assert.Zero(t, granted, "a copy that comes late grants nothing")
	assert.EqualValues(t, 16, left, "and counts nothing")
	granted, left, _ = c.do(ask{id: "a", sequence: 3, ratio: 1, wanted: 2})
	assert.EqualValues(t, 2, granted, "nor does it make a repetition of the next one count again")
	assert.EqualValues(t, 16, left)

	require.NoError(t, c.client.FlushAll(t.Context()).Err())
	_, left, _ = c.do(request)
	assert.Zero(t, left, "after a loss of data it is not known what was counted")
	_, left, _ = c.do(ask{id: "a", sequence: 4, ratio: 1, deposits: 2})
	assert.EqualValues(t, 2, left, "the next one counts")
	_, left, _ = c.do(ask{id: "a", sequence: 5, ratio: 1, returned: 2})
	assert.EqualValues(t, 2, left, "but tokens from before the loss may be among these")
	c.set("born", c.now()-5_000_000)
	_, left, _ = c.do(ask{id: "a", sequence: 6, ratio: 1, returned: 2})
	assert.EqualValues(t, 4, left, "and now not any more")
}

// Redis loses its data twice, less than a lease apart. Tokens from before the first loss do not
// live on by being returned and granted anew, so that never more are held than a burst and what
// drips in two leases.
func TestDataLostTwice(t *testing.T) {
	t.Parallel()
	c := newCaller(t)
	const lease, burst, floor, batch = 5 * time.Second, 100, 10, 140
	do := func(id string, sequence, returned, kept, wanted int64) int64 {
		granted, _, _ := c.do(ask{id: id, sequence: sequence, returned: returned, kept: kept, wanted: wanted, burst: burst, floor: floor, lease: lease})
		return granted
	}
	lose := func() { require.NoError(t, c.client.FlushAll(t.Context()).Err()) }
	pass := func(d time.Duration) { // as much as the script sees of it
		for _, field := range []string{"at", "born"} {
			at, err := c.client.HGet(t.Context(), key, field).Int64()
			require.NoError(t, err)
			c.set(field, at-d.Microseconds())
		}
	}
	for _, id := range []string{"a", "b", "c"} {
		do(id, 1, 0, 0, 0)
	}
	c.set("balance", int64(burst*1e6))
	a := do("a", 2, 0, 0, burst)
	assert.EqualValues(t, burst, a)
	pass(lease - 100*ms)
	b := do("b", 2, 0, 0, batch)
	a = do("a", 3, a, 0, burst) // fresh for another lease

	lose()
	do("a", 4, 0, a, 0)
	do("c", 2, 0, 0, 0)
	pass(lease - 100*ms)
	held := do("c", 3, 0, 0, batch)
	a = do("a", 5, a, 0, burst)

	lose()
	do("b", 3, 0, b, 0)
	b = do("b", 4, b, 0, batch)
	pass(lease - 100*ms)
	b += do("b", 5, 0, b, batch-b)
	assert.LessOrEqual(t, a+b+held, int64(burst+2*floor*lease.Seconds()))
	assert.Positive(t, held)
}

// A step back of Redis' clock makes a loss of data look as if it was yet to come. What replicas
// give back counts again a lease later, and not only when the clock has caught up.
func TestClockStepsBackAfterALoss(t *testing.T) {
	t.Parallel()
	c := newCaller(t)
	const lease = 100 * ms
	c.do(ask{id: "a", sequence: 2, lease: lease})
	c.set("born", c.now()+3_600_000_000)
	_, left, server := c.do(ask{id: "a", sequence: 3, returned: 5, lease: lease})
	assert.Zero(t, left)
	require.Eventually(t, func() bool { return c.now() > server+lease.Microseconds() }, 5*time.Second, ms)
	_, left, _ = c.do(ask{id: "a", sequence: 4, returned: 5, lease: lease})
	assert.EqualValues(t, 5, left)
}

func TestStaleRequestCountsNothing(t *testing.T) {
	t.Parallel()
	c := newCaller(t)
	c.do(ask{id: "a", sequence: 1})
	granted, left, server := c.do(ask{id: "a", sequence: 2, stamp: c.now() - 6_000_000, deposits: 9, ratio: 1, returned: 9, wanted: 1})
	assert.Zero(t, granted)
	assert.Zero(t, left)
	granted, left, _ = c.do(ask{id: "a", sequence: 3, stamp: server - 1_000_000, returned: 9, wanted: 1})
	assert.EqualValues(t, 1, granted)
	assert.EqualValues(t, 8, left)
	_, left, _ = c.do(ask{id: "a", sequence: 4, stamp: server + 3_600_000_000, returned: 2})
	assert.EqualValues(t, 10, left, "this server's clock stepped back")
}

// A clock that steps drips no more than a lease, and goes on from there.
func TestClockSteps(t *testing.T) {
	t.Parallel()
	c := newCaller(t)
	c.do(ask{id: "a", sequence: 1, floor: 2})
	for name, step := range map[string]struct{ at, least, most int64 }{
		"forward": {-3600, 10, 11}, "back": {3600, 0, 1}, "within a lease": {-2, 4, 5},
	} {
		c.set("balance", 0)
		c.set("at", c.now()+step.at*1_000_000)
		sequence := 10 + step.at + 3600
		_, left, server := c.do(ask{id: name, sequence: sequence, floor: 2})
		assert.GreaterOrEqual(t, left, step.least, name)
		assert.LessOrEqual(t, left, step.most, name)
		at, err := c.client.HGet(t.Context(), key, "at").Int64()
		require.NoError(t, err)
		assert.Equal(t, server, at, name)
	}
}

// What replicas may hold unspent counts as in the bucket: tokens that go from hand to hand
// make no room for more than the burst and what a lease drips.
func TestTokensThatAreHeldCount(t *testing.T) {
	t.Parallel()
	c := newCaller(t)
	const replicas, burst, floor, batch = 40, 100, 10, 10
	held, sequence := map[int]int64{}, int64(0)
	total := func() (sum int64) {
		for _, n := range held {
			sum += n
		}
		return sum
	}
	for range 60 { // each replica gives everything back and takes it again, while a second drips
		sequence++
		for i := range replicas {
			at, err := c.client.HGet(t.Context(), key, "at").Int64()
			if err == nil {
				c.set("at", at-25_000)
			}
			held[i], _, _ = c.do(ask{id: fmt.Sprint(i), sequence: sequence, burst: burst, floor: floor, returned: held[i], wanted: batch})
		}
		balance, err := c.client.HGet(t.Context(), key, "balance").Float64()
		require.NoError(t, err)
		require.LessOrEqual(t, float64(total())+balance/1e6, float64(burst+floor*5))
	}
	assert.GreaterOrEqual(t, total(), int64(burst), "and all of it can be held")
}

func TestReserve(t *testing.T) {
	t.Parallel()
	c := newCaller(t)
	c.do(ask{id: "a", sequence: 1})
	c.set("balance", 51e6)
	for i, want := range []int64{1, 0, 0} {
		granted, _, _ := c.do(ask{id: fmt.Sprint("idle", i), sequence: 1, wanted: 1, keep: 50})
		assert.Equal(t, want, granted)
	}
	granted, _, _ := c.do(ask{id: "needy", sequence: 1, wanted: 50})
	assert.EqualValues(t, 50, granted)
}

// Replicas with other settings do no harm: the smallest burst holds, and each drips its floor.
func TestSettingsThatDiffer(t *testing.T) {
	t.Parallel()
	c := newCaller(t)
	c.do(ask{id: "a", sequence: 1, burst: 100})
	_, left, _ := c.do(ask{id: "a", sequence: 2, burst: 100, returned: 90})
	assert.EqualValues(t, 90, left)
	_, left, _ = c.do(ask{id: "b", sequence: 1, burst: 10, lease: time.Second})
	assert.EqualValues(t, 10, left)
	_, left, _ = c.do(ask{id: "a", sequence: 3, burst: 100, returned: 5})
	assert.EqualValues(t, 15, left)
}

// The largest settings stay exact in the doubles of Lua.
func TestLargestSettings(t *testing.T) {
	t.Parallel()
	c := newCaller(t)
	const most = int64(1e9)
	c.do(ask{id: "a", sequence: 1, burst: most, floor: 1e6, lease: 10 * time.Minute})
	c.set("at", c.now()-600_000_000)
	granted, left, _ := c.do(ask{id: "a", sequence: 2, burst: most, floor: 1e6, lease: 10 * time.Minute, wanted: 1e6})
	assert.EqualValues(t, 1e6, granted)
	assert.EqualValues(t, 599e6, left, "ten minutes at 1e6 a second")
	_, left, _ = c.do(ask{id: "a", sequence: 3, burst: most, floor: 1e6, lease: 10 * time.Minute, deposits: 1 << 52, ratio: 1})
	assert.Equal(t, most, left, "no more than the burst")
	text, err := c.client.HGet(t.Context(), key, "balance").Result()
	require.NoError(t, err)
	assert.Equal(t, "1000000000000000", text)
}

// Fractions of a token are kept, however often replicas come.
func TestFractionsAreKept(t *testing.T) {
	t.Parallel()
	c := newCaller(t)
	c.do(ask{id: "a", sequence: 1, ratio: 0.000001})
	for i := range int64(1000) {
		c.do(ask{id: "a", sequence: 2 + i, ratio: 0.000001, deposits: 1000})
	}
	_, left, _ := c.do(ask{id: "a", sequence: 2000})
	assert.EqualValues(t, 1, left)
}

func TestRecordsOfReplicasEnd(t *testing.T) {
	t.Parallel()
	c := newCaller(t)
	ids := func() (ids []string) {
		fields, err := c.client.HKeys(t.Context(), key).Result()
		require.NoError(t, err)
		for _, field := range fields {
			if id, ok := strings.CutPrefix(field, "r:"); ok {
				ids = append(ids, id)
			}
		}
		return ids
	}
	c.do(ask{id: "stays", sequence: 1})
	c.set("balance", 50e6)
	granted, _, _ := c.do(ask{id: "dies", sequence: 1, wanted: 7, lease: 50 * ms})
	assert.EqualValues(t, 7, granted)
	c.do(ask{id: "leaves", sequence: 1})
	c.do(ask{id: "leaves", sequence: 2, leaving: true})
	assert.ElementsMatch(t, []string{"stays", "dies"}, ids())
	assert.InDelta(t, 7, stateOf(t, c.client).out, 0)

	dead := c.now() + 60_000
	require.Eventually(t, func() bool { return c.now() > dead }, time.Second, ms)
	c.set("sweep", c.now()-1)
	c.do(ask{id: "stays", sequence: 2})
	assert.Equal(t, []string{"stays"}, ids())
	assert.InDelta(t, 0, stateOf(t, c.client).out, 0)

	life, err := c.client.PTTL(context.Background(), key).Result()
	require.NoError(t, err)
	assert.Greater(t, life, 59*time.Minute)
	assert.LessOrEqual(t, life, time.Hour)
}
