package breaker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// handClock is a clock that moves when it is told to.
type handClock struct {
	clock.Clock // nil: a breaker reads the time and draws chance, and no more
	now         atomic.Int64
}

func (c *handClock) Now() time.Time  { return time.Unix(0, c.now.Load()) }
func (c *handClock) Random() float64 { return 0.5 }

// model is the breaker as one would write it for one goroutine: no epochs, no atomics, a
// list of results in place of a window.
type model struct {
	minCalls, consecutive, countWindow, probes int
	failureRatio, slowRatio                    float64
	slowThreshold, timeWindow, probeTimeout    time.Duration
	openTime                                   func(failedProbes int) time.Duration

	state        State
	change       int // how many there were: what a call remembers of the state it came in
	now          time.Duration
	results      []modelResult
	inRow        int // failures
	failedProbes int
	until        time.Duration
	taken        int // probes under way or succeeded
	succeeded    int
	lastProbe    time.Duration
}

type modelResult struct {
	at           time.Duration
	failed, slow bool
}

func (m *model) enter(state State, failedProbes int) {
	m.state, m.failedProbes = state, failedProbes
	m.change++
	m.results, m.inRow, m.taken, m.succeeded = nil, 0, 0, 0
	if state == Open {
		m.until = m.now + m.openTime(failedProbes)
	}
}

func (m *model) hangs() bool {
	return m.taken >= m.probes && m.probeTimeout > 0 && m.now-m.lastProbe >= m.probeTimeout
}

func (m *model) allow() bool {
	if m.state == Open && m.now >= m.until {
		m.enter(HalfOpen, m.failedProbes)
	}
	if m.state == HalfOpen && m.hangs() {
		m.enter(Open, m.failedProbes+1)
	}
	switch m.state {
	case Open, ForcedOpen:
		return false
	case HalfOpen:
		if m.taken >= m.probes {
			return false
		}
		m.taken++
		m.lastProbe = m.now
	default:
	}
	return true
}

func (m *model) done(change int, took time.Duration, result telemetry.Result) {
	if change != m.change || m.state == Disabled {
		return
	}
	failed := result == telemetry.ResultFailure
	slow := m.slowThreshold > 0 && took >= m.slowThreshold
	ignored := result == telemetry.ResultIgnored
	switch {
	case m.state == HalfOpen && ignored:
		m.taken--
	case m.state == HalfOpen && (failed || slow):
		m.enter(Open, m.failedProbes+1)
	case m.state == HalfOpen:
		if m.succeeded++; m.succeeded == m.probes {
			m.enter(Closed, 0)
		}
	case ignored:
	default:
		m.results = append(m.results, modelResult{m.now, failed, slow})
		m.inRow++
		if !failed {
			m.inRow = 0
		}
		if m.tripped() {
			m.enter(Open, 0)
		}
	}
}

func (m *model) counts() (c Counts) {
	from := 0
	if m.countWindow > 0 {
		from = max(0, len(m.results)-m.countWindow)
	}
	width := m.timeWindow / timeBuckets
	for _, r := range m.results[from:] {
		if m.countWindow == 0 && r.at/width <= m.now/width-timeBuckets {
			continue
		}
		c.Calls++
		c.Failures += one(r.failed)
		c.Slow += one(r.slow)
	}
	c.ConsecutiveFailures = int64(m.inRow)
	return c
}

func (m *model) tripped() bool {
	c := m.counts()
	enough := c.Calls >= int64(m.minCalls)
	return m.consecutive > 0 && m.inRow >= m.consecutive ||
		m.failureRatio > 0 && enough && float64(c.Failures)/float64(c.Calls) >= m.failureRatio ||
		m.slowRatio > 0 && enough && float64(c.Slow)/float64(c.Calls) >= m.slowRatio
}

// configurations returns a breaker and its model with options drawn by chance.
func configurations(random *rand.Rand, clk *handClock) (*Breaker, *model) {
	m := &model{minCalls: 1 + random.IntN(12), probes: 1 + random.IntN(4), timeWindow: DefaultTimeWindow, probeTimeout: DefaultProbeTimeout}
	opens := backoff.Exponential{Initial: time.Second, Max: 20 * time.Second, Jitter: backoff.NoJitter}
	m.openTime = func(n int) time.Duration { return opens.Delay(n, 0, 0) }
	options := []Option{WithClock(clk), WithMinCalls(m.minCalls), WithProbes(m.probes), WithOpenBackoff(opens), WithTelemetry(telemetry.Off())}
	if random.IntN(2) == 0 {
		m.countWindow = m.minCalls + random.IntN(20)
		options = append(options, WithCountWindow(m.countWindow))
	} else {
		m.timeWindow = time.Duration(1+random.IntN(30)) * time.Second
		options = append(options, WithTimeWindow(m.timeWindow))
	}
	if random.IntN(2) == 0 {
		m.probeTimeout = time.Duration(random.IntN(3)) * 10 * time.Second
		options = append(options, WithProbeTimeout(m.probeTimeout))
	}
	which := 1 + random.IntN(7)
	if which == 2 {
		m.failureRatio = DefaultFailureRatio
	}
	if which&1 != 0 {
		m.failureRatio = 0.2 + 0.8*random.Float64()
		options = append(options, WithFailureRatio(m.failureRatio))
	}
	if which&2 != 0 {
		m.slowRatio, m.slowThreshold = 0.2+0.8*random.Float64(), time.Duration(1+random.IntN(3))*time.Second
		options = append(options, WithSlowRatio(m.slowRatio, m.slowThreshold))
	}
	if which&4 != 0 {
		m.consecutive = 2 + random.IntN(6)
		options = append(options, WithConsecutiveFailures(m.consecutive))
	}
	return MustNew("b", options...), m
}

// underWay is a call that was let pass.
type underWay struct {
	permit Permit
	change int
	began  time.Duration
}

var errDown = errors.New("down")

// end ends a call by chance: in success, in failure, as neither, or by a panic.
func (c *underWay) end(random *rand.Rand) telemetry.Result {
	switch random.IntN(8) {
	case 0:
		c.permit.Ignore()
		return telemetry.ResultIgnored
	case 1:
		c.permit.Done(resilience.Refused(errDown))
		return telemetry.ResultIgnored
	case 2:
		c.permit.panicked()
		return telemetry.ResultFailure
	case 3:
		c.permit.Done(errDown)
		return telemetry.ResultFailure
	case 4:
		c.permit.Done(resilience.Permanent(errDown))
		return telemetry.ResultSuccess
	default:
		c.permit.Done(nil)
		return telemetry.ResultSuccess
	}
}

// The breaker does what the model does, over a million random interleavings of calls that
// begin, end, hang, come late, are cancelled and panic, with the time passing between them.
func TestAgainstAModel(t *testing.T) {
	t.Parallel()
	const schedules, steps = 500, 2000
	seed := rand.Uint64()
	for s := range uint64(schedules) {
		checkSchedule(t, rand.New(rand.NewPCG(seed, s)), steps, fmt.Sprintf("seed %d, schedule %d", seed, s))
	}
}

func checkSchedule(t *testing.T, random *rand.Rand, steps int, which string) {
	t.Helper()
	clk := &handClock{}
	b, m := configurations(random, clk)
	var calls []underWay
	for i := range steps {
		switch n := random.IntN(100); {
		case n < 45:
			permit, err := b.Allow(context.Background())
			want := m.allow()
			if (err == nil) != want {
				require.FailNow(t, "another decision", "%s, step %d: %v, want %v", which, i, err, want)
			}
			if err == nil {
				calls = append(calls, underWay{permit, m.change, m.now})
			}
		case n < 90 && len(calls) > 0:
			at := random.IntN(len(calls))
			call := calls[at]
			calls = append(calls[:at], calls[at+1:]...)
			m.done(call.change, m.now-call.began, call.end(random))
		case n < 98:
			m.now += time.Duration(random.Int64N(int64(2 * time.Second)))
			clk.now.Store(int64(m.now))
		case n == 98 && random.IntN(20) == 0:
			force := random.IntN(3)
			[]func(){b.ForceOpen, b.Disable, b.Reset}[force]()
			if state := []State{ForcedOpen, Disabled, Closed}[force]; state != m.state || state == Closed {
				m.enter(state, 0)
			}
		case n == 99 && (m.state == ForcedOpen || m.state == Disabled):
			b.Reset()
			m.enter(Closed, 0)
		}
		state := m.state
		switch {
		case state == Open && m.now >= m.until:
			state = HalfOpen
		case state == HalfOpen && m.hangs():
			state = Open
		}
		if got := b.State(); got != state {
			require.FailNow(t, "another state", "%s, step %d: %v, want %v", which, i, got, state)
		}
		if m.state == Closed && b.Counts() != m.counts() {
			require.FailNow(t, "other counts", "%s, step %d: %v, want %v", which, i, b.Counts(), m.counts())
		}
	}
}

// Goroutines that use one breaker at once never have more probes under way than it admits,
// and lose none, whatever ends them.
func TestProbesUnderContention(t *testing.T) {
	t.Parallel()
	const goroutines, each, probes = 8, 125_000, 3
	seed := rand.Uint64()
	clk := &handClock{}
	var inOrder []Change
	b := MustNew("b", WithClock(clk), WithConsecutiveFailures(2), WithProbes(probes), WithOpenTime(time.Second), WithProbeTimeout(0),
		WithOnStateChange(func(c Change) { inOrder = append(inOrder, c) })) // by one goroutine at a time
	var most atomic.Int64
	var all sync.WaitGroup
	for g := range uint64(goroutines) {
		all.Go(func() {
			random := rand.New(rand.NewPCG(seed, g))
			for range each {
				if random.IntN(10) == 0 {
					clk.now.Add(int64(300 * time.Millisecond))
				}
				permit, err := b.Allow(context.Background())
				if err != nil {
					continue
				}
				call := underWay{permit: permit}
				if call.permit.epoch.state == HalfOpen {
					for n := call.permit.epoch.halfOpen.probes.Load(); ; {
						if old := most.Load(); n <= old || most.CompareAndSwap(old, n) {
							break
						}
					}
				}
				for range random.IntN(4) {
					runtime.Gosched()
				}
				call.end(random)
			}
		})
	}
	all.Wait()
	assert.LessOrEqual(t, most.Load(), int64(probes), "seed %d", seed)
	require.NotEmpty(t, inOrder)
	for i, c := range inOrder {
		if i > 0 {
			require.Equal(t, inOrder[i-1].To, c.From, "change %d is told of out of order: seed %d", i, seed)
		}
	}

	// All permits have been given back: the breaker still admits exactly its probes.
	b.Reset()
	for range 2 {
		require.Equal(t, errDown, b.Do(context.Background(), fails))
	}
	for range 3 {
		clk.now.Add(int64(time.Second))
		var permits []Permit
		for range probes {
			permit, err := b.Allow(context.Background())
			require.NoError(t, err)
			permits = append(permits, permit)
		}
		_, err := b.Allow(context.Background())
		require.ErrorIs(t, err, ErrOpen)
		for i := range permits {
			permits[i].Ignore()
		}
	}
}

func fails(context.Context) error { return errDown }

// A clock that steps back neither breaks the window nor keeps the breaker open for longer
// than its open time.
func TestClockStepsBack(t *testing.T) {
	t.Parallel()
	clk := &handClock{}
	clk.now.Store(int64(time.Hour))
	b := MustNew("b", WithClock(clk), WithFailureRatio(0.5), WithMinCalls(2), WithSlowRatio(1, time.Second))
	clk.now.Store(0)
	_ = b.Do(context.Background(), fails)
	_ = b.Do(context.Background(), fails)
	assert.Equal(t, Closed, b.State(), "nothing counts before the beginning")
	clk.now.Store(int64(time.Hour))
	_ = b.Do(context.Background(), fails)
	_ = b.Do(context.Background(), fails)
	assert.Equal(t, Open, b.State())
}

// Of two goroutines that end the same epoch one wins, and one change is told of.
func TestAnEpochEndsOnce(t *testing.T) {
	t.Parallel()
	changes := 0
	b := MustNew("b", WithOnStateChange(func(Change) { changes++ }))
	e := b.current.Load()
	assert.True(t, b.change(context.Background(), e, Open, 0, ReasonFailureRatio))
	assert.False(t, b.change(context.Background(), e, Open, 0, ReasonFailureRatio))
	assert.Equal(t, 1, changes)
}

// What a change tells of the probes, and how long the breaker is open after them.
func TestChangesOfAHalfOpenBreaker(t *testing.T) {
	t.Parallel()
	clk := &handClock{}
	var changes []Change
	b := MustNew("b", WithClock(clk), WithConsecutiveFailures(1), WithSlowRatio(1, time.Second), WithProbes(3), WithProbeTimeout(time.Minute),
		WithOpenBackoff(backoff.Exponential{Initial: 10 * time.Second, Jitter: backoff.FullJitter}),
		WithOnStateChange(func(c Change) { changes = append(changes, c) }))
	pass := func(d time.Duration) { clk.now.Add(int64(d)) }
	allow := func() Permit {
		p, err := b.Allow(context.Background())
		require.NoError(t, err)
		return p
	}
	last := func() Change { return changes[len(changes)-1] }

	_ = b.Do(context.Background(), fails)
	assert.Equal(t, Change{"b", Closed, Open, ReasonConsecutiveFailures, Counts{1, 1, 0, 1}, 5 * time.Second}, last(), "half of 10 s, by jitter")

	pass(5 * time.Second)
	first, second := allow(), allow()
	assert.Equal(t, Change{"b", Open, HalfOpen, ReasonOpenTimePassed, Counts{}, 0}, last())
	first.Done(nil)
	ignored := allow()
	pass(2 * time.Second)
	ignored.Ignore() // slow as it is
	second.Done(errDown)
	assert.Equal(t, Change{"b", HalfOpen, Open, ReasonProbeFailed, Counts{2, 1, 1, 1}, 10 * time.Second}, last())

	pass(10 * time.Second)
	hang := allow()
	_, _ = allow(), allow()
	_, err := b.Allow(context.Background())
	var open *OpenError
	require.ErrorAs(t, err, &open)
	assert.Equal(t, OpenError{"b", HalfOpen, 20 * time.Second}, *open, "as long as it would be open")
	pass(time.Minute)
	_, err = b.Allow(context.Background())
	require.ErrorIs(t, err, ErrOpen)
	assert.Equal(t, Change{"b", HalfOpen, Open, ReasonProbeTimeout, Counts{}, 20 * time.Second}, last())
	hang.Done(nil)

	pass(20 * time.Second)
	slow := allow()
	pass(time.Second)
	slow.Done(nil)
	assert.Equal(t, Change{"b", HalfOpen, Open, ReasonProbeFailed, Counts{1, 0, 1, 0}, 40 * time.Second}, last())

	pass(40 * time.Second)
	for range 3 {
		p := allow()
		p.Done(nil)
	}
	assert.Equal(t, Change{"b", HalfOpen, Closed, ReasonProbesSucceeded, Counts{3, 0, 0, 0}, 0}, last())
}

func TestOddOpenTimes(t *testing.T) {
	t.Parallel()
	constant := func(d time.Duration) Option {
		return WithOpenBackoff(backoff.Func(func(int, time.Duration, float64) time.Duration { return d }))
	}
	for name, tt := range map[string]struct {
		options []Option
		want    time.Duration
	}{
		"for ever":            {[]Option{WithOpenTime(math.MaxInt64)}, math.MaxInt64},
		"none":                {[]Option{constant(0)}, 1},
		"negative":            {[]Option{constant(-time.Hour)}, 1},
		"backoff, then fixed": {[]Option{constant(time.Hour), WithOpenTime(time.Second)}, time.Second},
		"fixed, then backoff": {[]Option{WithOpenTime(time.Second), constant(time.Hour)}, time.Hour},
	} {
		clk := &handClock{}
		b := MustNew("b", append(tt.options, WithClock(clk), WithConsecutiveFailures(1))...)
		clk.now.Store(int64(time.Hour))
		_ = b.Do(context.Background(), fails)
		err := b.Do(context.Background(), fails)
		var open *OpenError
		require.ErrorAs(t, err, &open, name)
		assert.Equal(t, min(tt.want, math.MaxInt64-time.Hour), open.After, name)
		assert.NotContains(t, err.Error(), "-", name)
	}
}

func TestErrorTexts(t *testing.T) {
	t.Parallel()
	for after, want := range map[time.Duration]string{
		0: "b: the circuit breaker is open", 1: "b: the circuit breaker is open, try again in 100ms",
		2 * time.Second: "b: the circuit breaker is open, try again in 2s", 2*time.Second + 1: "b: the circuit breaker is open, try again in 2.1s",
	} {
		assert.EqualError(t, &OpenError{Name: "b", State: Open, After: after}, want)
	}
	for s, want := range map[State]string{Closed: "closed", HalfOpen: "half_open", Disabled: "disabled", 9: "State(9)"} {
		assert.Equal(t, want, s.String())
	}
}

// A hook that panics keeps no later change back.
func TestHookThatPanics(t *testing.T) {
	t.Parallel()
	var told []State
	var b *Breaker
	b = MustNew("b", WithConsecutiveFailures(1), WithOnStateChange(func(c Change) {
		told = append(told, c.To)
		if c.To == Open {
			b.ForceOpen()
			panic("hook")
		}
	}))
	assert.PanicsWithValue(t, "hook", func() { _ = b.Do(context.Background(), fails) })
	assert.Equal(t, []State{Open, ForcedOpen}, told)
}
