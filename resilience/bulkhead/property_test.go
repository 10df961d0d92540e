package bulkhead_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience/bulkhead"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// model is a bulkhead as simple as can be: everything that ought to happen is computed
// from it. What has waited for the max wait is refused before anything else happens.
type model struct {
	limit, inflight, queue int
	maxWait                time.Duration
	waiting                []*modelCall
}

// modelCall is a call that waits or waited.
type modelCall struct {
	*background
	until time.Time
	want  string // how it is to end, or "" while it waits
}

func (m *model) mayBegin() bool { return len(m.waiting) == 0 && m.inflight < m.limit }

// settle lets in those for whom there is room.
func (m *model) settle() {
	for len(m.waiting) > 0 && m.inflight < m.limit {
		m.inflight++
		m.leave(0, "admitted")
	}
}

func (m *model) leave(i int, want string) {
	m.waiting[i].want = want
	m.waiting = slices.Delete(m.waiting, i, i+1)
}

func (m *model) pass(now time.Time) {
	for m.maxWait > 0 && len(m.waiting) > 0 && !now.Before(m.waiting[0].until) {
		m.leave(0, bulkhead.ReasonWait)
	}
}

// outcome names how a call ended.
func outcome(err error) string {
	if full, ok := err.(*bulkhead.FullError); ok {
		return full.Reason
	}
	if err != nil {
		return "canceled"
	}
	return "admitted"
}

// Random schedules of everything that a bulkhead does, step by step against the model:
// 240,000 steps. A failure tells its seed.
func TestRandomSchedules(t *testing.T) {
	t.Parallel()
	seeds, steps := 24, 10_000
	if raceEnabled {
		seeds, steps = 6, 5_000
	}
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { newSchedule(t, seed).run(steps) })
		})
	}
}

// schedule drives a bulkhead and its model.
type schedule struct {
	t      *testing.T
	random *rand.Rand
	b      *bulkhead.Bulkhead
	m      model
	ended  atomic.Int64
	open   []*modelCall // calls of which it was not checked yet how they ended
}

func newSchedule(t *testing.T, seed uint64) *schedule {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 1))
	m := model{limit: 1 + random.IntN(6), queue: random.IntN(8), maxWait: time.Duration(random.IntN(3)) * 200 * time.Millisecond}
	if m.queue == 0 {
		m.maxWait = 0 // nobody waits
	}
	b := bulkhead.MustNew("b", m.limit, bulkhead.WithQueue(m.queue), bulkhead.WithMaxWait(m.maxWait), bulkhead.WithTelemetry(telemetry.Off()))
	return &schedule{t: t, random: random, b: b, m: m}
}

func (s *schedule) run(steps int) {
	for i := range steps {
		what := s.step()
		synctest.Wait()
		s.check(fmt.Sprintf("step %d: %s", i, what))
	}
	s.m.limit = 1_000_000
	require.NoError(s.t, s.b.SetLimit(s.m.limit))
	s.m.settle()
	synctest.Wait()
	s.check("in the end all are let in")
	require.Empty(s.t, s.open)
	for ; s.m.inflight > 0; s.m.inflight-- {
		s.b.Release()
	}
	require.NoError(s.t, s.b.SetLimit(3))
	requireIdle(s.t, s.b)
}

func (s *schedule) step() string {
	switch s.random.IntN(20) {
	case 0, 1, 2, 3, 4, 5:
		return s.acquire()
	case 6, 7, 8, 9, 10:
		return s.release()
	case 11, 12:
		return s.cancel()
	case 13:
		return s.cancelAndRelease()
	case 14:
		return s.setLimit()
	case 15:
		want := s.m.mayBegin()
		require.Equal(s.t, want, s.b.TryAcquire(), "TryAcquire")
		if want {
			s.m.inflight++
		}
		return "try"
	case 16, 17:
		return s.do()
	default:
		time.Sleep(time.Duration(1+s.random.IntN(100)) * time.Millisecond)
		s.m.pass(time.Now())
		return "time passes"
	}
}

func (s *schedule) acquire() string {
	c := &modelCall{until: time.Now().Add(s.m.maxWait)}
	switch {
	case s.m.mayBegin():
		s.m.inflight++
		c.want = "admitted"
	case len(s.m.waiting) == s.m.queue:
		c.want = bulkhead.ReasonFull
	default:
		s.m.waiting = append(s.m.waiting, c)
	}
	c.background = acquire(s.t.Context(), s.b, &s.ended)
	s.open = append(s.open, c)
	return "acquire " + c.want
}

func (s *schedule) release() string {
	if s.m.inflight == 0 {
		return "nothing to release"
	}
	s.b.Release()
	s.m.inflight--
	s.m.settle()
	return "release"
}

func (s *schedule) cancel() string {
	if len(s.m.waiting) == 0 {
		return "nothing to cancel"
	}
	i := s.random.IntN(len(s.m.waiting))
	s.m.waiting[i].cancel(nil)
	s.m.leave(i, "canceled")
	return fmt.Sprint("cancel ", i)
}

// cancelAndRelease hands a slot over to a call that was cancelled and could not leave yet.
func (s *schedule) cancelAndRelease() string {
	if len(s.m.waiting) == 0 || s.m.inflight == 0 {
		return "nothing to cancel and release"
	}
	s.m.waiting[0].cancel(nil)
	s.b.Release()
	s.m.leave(0, "canceled")
	s.m.inflight--
	s.m.settle()
	return "cancel 0 and release"
}

func (s *schedule) setLimit() string {
	s.m.limit = 1 + s.random.IntN(8)
	require.NoError(s.t, s.b.SetLimit(s.m.limit))
	s.m.settle()
	return fmt.Sprint("set limit ", s.m.limit)
}

// do runs an operation that returns, panics or leaves its goroutine, with a slot that is
// free or not at all.
func (s *schedule) do() string {
	if !s.m.mayBegin() {
		return "no free slot for do"
	}
	how := s.random.IntN(3)
	panicked := run(func() {
		_ = s.b.Do(s.t.Context(), func(context.Context) error {
			assert.Equal(s.t, s.m.inflight+1, s.b.Inflight())
			switch how {
			case 1:
				panic("operation")
			case 2:
				runtime.Goexit()
			}
			return nil
		})
	})
	assert.Equal(s.t, how == 1, panicked != nil)
	return fmt.Sprint("do ", how)
}

// check compares the bulkhead and all calls with the model.
func (s *schedule) check(what string) {
	require.Equal(s.t, s.m.limit, s.b.Limit(), what)
	require.Equal(s.t, s.m.inflight, s.b.Inflight(), what)
	require.Equal(s.t, len(s.m.waiting), s.b.Queued(), what)
	s.open = slices.DeleteFunc(s.open, func(c *modelCall) bool {
		require.Equal(s.t, c.want != "", c.done.Load(), what)
		if c.done.Load() {
			require.Equal(s.t, c.want, outcome(c.err), what)
		}
		return c.done.Load()
	})
}
