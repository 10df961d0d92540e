package bulkhead_test

import (
	"context"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/observable-go/toolkit/resilience/bulkhead"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// callee is a simulated one: up to its capacity calls take 10 ms in the mean, and beyond it
// they share what there is. They differ in length by a log-normal distribution.
type callee struct {
	capacity float64
	sigma    float64 // of the logarithm: 0 if all take equally long
}

func (c callee) latency(inflight int, r *rand.Rand) time.Duration {
	noise := math.Exp(c.sigma*r.NormFloat64() - c.sigma*c.sigma/2) // 1 in the mean
	return time.Duration(float64(10*time.Millisecond) * noise * max(1, float64(inflight)/c.capacity))
}

// service is a service that calls a callee through a bulkhead with an adaptive limit.
type service struct {
	*bulkhead.Bulkhead
	call func(inflight int, r *rand.Rand) (time.Duration, error)
}

func newService(a bulkhead.Algorithm) *service {
	return &service{Bulkhead: bulkhead.MustNew("b", 20, bulkhead.WithQueue(1000), bulkhead.WithAdaptiveLimit(a),
		bulkhead.WithTelemetry(telemetry.Off()))}
}

// load lets so many clients call in a loop, for as long as the limit needs to settle and
// then for d, and returns the least and the greatest limit in d.
func (s *service) load(ctx context.Context, clients int, settle, d time.Duration) (least, greatest int) {
	var group sync.WaitGroup
	var done atomic.Bool
	for client := range clients {
		group.Go(func() {
			r := rand.New(rand.NewPCG(uint64(client), 1))
			for !done.Load() {
				_ = s.Do(ctx, func(context.Context) error {
					d, err := s.call(s.Inflight(), r)
					time.Sleep(d)
					return err
				})
				time.Sleep(time.Millisecond)
			}
		})
	}
	time.Sleep(settle)
	least = bulkhead.MaxLimit
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Millisecond) {
		least, greatest = min(least, s.Limit()), max(greatest, s.Limit())
	}
	done.Store(true)
	group.Wait()
	return least, greatest
}

// even returns the call of a callee that never fails.
func (c callee) even() func(inflight int, r *rand.Rand) (time.Duration, error) {
	return func(inflight int, r *rand.Rand) (time.Duration, error) { return c.latency(inflight, r), nil }
}

// inBubble runs a test with each algorithm in a bubble of time.
func inBubble(t *testing.T, maxLimit int, f func(t *testing.T, name string, fresh func() *service)) {
	t.Helper()
	t.Parallel()
	if raceEnabled {
		t.Skip("a hundred thousand calls take too long")
	}
	for name, fresh := range map[string]func() *service{
		"vegas":     func() *service { return newService(&bulkhead.Vegas{MaxLimit: maxLimit}) },
		"gradient2": func() *service { return newService(&bulkhead.Gradient2{MaxLimit: maxLimit}) },
	} {
		synctest.Test(t, func(t *testing.T) { f(t, name, fresh) })
	}
}

// A service that calls its callee half as much as that can bear, and now and then three
// times as much. The callee loses half of its capacity and gets it back. The table in
// docs/bulkhead.md comes from longer runs of this.
func TestAdaptiveLimitsFollowTheCapacity(t *testing.T) {
	within := map[string][2]float64{"vegas": {0.5, 1.5}, "gradient2": {1.2, 2}} // in capacities
	inBubble(t, 500, func(t *testing.T, name string, fresh func() *service) {
		t.Helper()
		s := fresh()
		for _, capacity := range []float64{100, 50, 100} {
			s.call = callee{capacity, 0.1}.even()
			var least, greatest int
			for range 4 {
				s.load(t.Context(), int(capacity)/2, 0, 500*time.Millisecond)
				least, greatest = s.load(t.Context(), 3*int(capacity), 0, 500*time.Millisecond)
			}
			t.Logf("%s, capacity %.0f: %d to %d", name, capacity, least, greatest)
			assert.GreaterOrEqual(t, float64(least), within[name][0]*capacity, name)
			assert.LessOrEqual(t, float64(greatest), within[name][1]*capacity, name)
		}
	})
}

// A callee that could bear everything, whose calls differ in length: that is no queue.
// Vegas stands only little of it.
func TestAdaptiveLimitsOpenUp(t *testing.T) {
	sigma := map[string]float64{"vegas": 0.03, "gradient2": 1}
	inBubble(t, 100, func(t *testing.T, name string, fresh func() *service) {
		t.Helper()
		s := fresh()
		s.call = callee{math.Inf(1), sigma[name]}.even()
		least, greatest := s.load(t.Context(), 120, 4*time.Second, 2*time.Second)
		t.Logf("%s: %d to %d", name, least, greatest)
		assert.GreaterOrEqual(t, least, 80, name)
	})
}

// Without a pause in the overload Gradient2 does not know any more what the latency without
// it is, and Vegas by and by. MaxLimit bounds what comes of that.
func TestAdaptiveLimitsCreepWithoutAPause(t *testing.T) {
	inBubble(t, 200, func(t *testing.T, name string, fresh func() *service) {
		t.Helper()
		s := fresh()
		s.call = callee{50, 0.1}.even()
		least, greatest := s.load(t.Context(), 300, 15*time.Second, time.Second)
		t.Logf("%s: %d to %d", name, least, greatest)
		assert.LessOrEqual(t, greatest, 200, name)
		assert.GreaterOrEqual(t, least, map[string]int{"vegas": 35, "gradient2": 100}[name], name)
	})
}

// Callees whose overload shows only by what they drop: slowly, by a timeout in which the
// limit could rise a hundred times, or fast.
func TestAdaptiveLimitsFollowDrops(t *testing.T) {
	overloads := map[string]struct {
		latency         time.Duration // of what is dropped
		bears           int           // at a time
		settle          time.Duration
		least, greatest int
	}{
		"timeouts": {time.Second, 100, 8 * time.Second, 50, 200},
		"shedding": {time.Millisecond, 100, 8 * time.Second, 70, 150},
		"down":     {time.Second, 0, 40 * time.Second, 1, 8}, // where gradient2 comes to rest: 0.9 * 8 + 0.8 = 8
	}
	inBubble(t, 500, func(t *testing.T, name string, fresh func() *service) {
		t.Helper()
		for overload, tt := range overloads {
			s := fresh()
			s.call = func(inflight int, r *rand.Rand) (time.Duration, error) {
				if inflight > tt.bears && r.IntN(inflight) >= tt.bears {
					return tt.latency, errOverload
				}
				return 10 * time.Millisecond, nil
			}
			least, greatest := s.load(t.Context(), 600, tt.settle, 2*time.Second)
			t.Logf("%s, %s: %d to %d", name, overload, least, greatest)
			assert.GreaterOrEqual(t, least, tt.least, "%s, %s", name, overload)
			assert.LessOrEqual(t, greatest, tt.greatest, "%s, %s", name, overload)
		}
	})
}

// Calls that time out whatever the load are an exception and leave the limit where it is
// without them: at MaxLimit, here. The others differ a little in length, or they would all
// end at once, and those that time out as well.
func TestAdaptiveLimitsBearRareDrops(t *testing.T) {
	inBubble(t, 120, func(t *testing.T, name string, fresh func() *service) {
		t.Helper()
		for _, oneIn := range []int{1000, 100} {
			s := fresh()
			s.call = func(inflight int, r *rand.Rand) (time.Duration, error) {
				if r.IntN(oneIn) == 0 {
					return time.Second, errOverload
				}
				return callee{math.Inf(1), 0.03}.latency(inflight, r), nil
			}
			least, greatest := s.load(t.Context(), 150, 4*time.Second, 2*time.Second)
			t.Logf("%s, 1 in %d: %d to %d", name, oneIn, least, greatest)
			assert.GreaterOrEqual(t, least, 96, "%s, 1 in %d", name, oneIn)
		}
	})
}
