package bulkhead_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience/bulkhead"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// Many goroutines at once do everything that may be done: never more than the limit are
// under way, and in the end every slot is there.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	const workers, limit = 32, 4
	each := 1500
	if raceEnabled {
		each = 500
	}
	b := bulkhead.MustNew("b", limit, bulkhead.WithQueue(workers/2), bulkhead.WithMaxWait(time.Millisecond),
		bulkhead.WithTelemetry(telemetry.Off()))
	var inside, most, refused, ran atomic.Int64
	enter := func() {
		n := inside.Add(1)
		for old := most.Load(); n > old; old = most.Load() {
			if most.CompareAndSwap(old, n) {
				break
			}
		}
		ran.Add(1)
		runtime.Gosched()
		inside.Add(-1)
	}
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			random := rand.New(rand.NewPCG(2, uint64(w)))
			for range each {
				ctx, cancel := context.WithCancel(context.Background())
				switch random.IntN(4) {
				case 0:
					go cancel() // while it waits or runs
				case 1:
					if b.TryAcquire() {
						enter()
						b.Release()
					}
				}
				how := random.IntN(10)
				run(func() {
					err := b.Do(ctx, func(context.Context) error {
						enter()
						switch how {
						case 0:
							panic("operation")
						case 1:
							runtime.Goexit()
						}
						return nil
					})
					if err != nil {
						refused.Add(1)
					}
				})
				if random.IntN(20) == 0 { // never above what the others count on
					assert.NoError(t, b.SetLimit(1+random.IntN(limit)))
				}
				cancel()
			}
		})
	}
	group.Wait()
	t.Logf("%d ran, %d did not, at most %d at a time", ran.Load(), refused.Load(), most.Load())
	assert.LessOrEqual(t, most.Load(), int64(limit))
	assert.Positive(t, refused.Load())
	require.NoError(t, b.SetLimit(limit))
	requireIdle(t, b)
}

// Hand-overs and cancellations at the same instant, again and again: no slot is lost.
func TestHandOverRacesWithCancellation(t *testing.T) {
	t.Parallel()
	b := bulkhead.MustNew("b", 1, bulkhead.WithQueue(2), bulkhead.WithTelemetry(telemetry.Off()))
	rounds := 20_000
	if raceEnabled {
		rounds = 4_000
	}
	admitted := 0
	for range rounds {
		require.True(t, b.TryAcquire())
		ctx, cancel := context.WithCancel(context.Background())
		waits := make(chan error, 1)
		go func() { waits <- b.Acquire(ctx) }()
		for b.Queued() == 0 {
			runtime.Gosched()
		}
		go cancel()
		b.Release()
		if <-waits == nil {
			admitted++
			b.Release()
		}
		require.Zero(t, b.Inflight())
		require.Zero(t, b.Queued())
	}
	t.Logf("%d of %d admitted", admitted, rounds)
	requireIdle(t, b)
}
