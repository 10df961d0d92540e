package hedge_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/observable-go/toolkit/internal/signaltest"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/hedge"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// A token is a value that must end in one hand: the caller's, or that of discard.
type token struct {
	call, copy int
	delivered  atomic.Int32
	discarded  atomic.Int32
}

// Under random schedules, with copies that succeed, fail, panic, leave their goroutine or
// do not listen, and callers that leave: every value that a copy returned without an error
// is delivered or discarded, exactly once, and is a value of its own call; results add up;
// what was withdrawn was sent or refunded; and no goroutine is left.
func TestRandomSchedules(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for round := range uint64(60) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, round))
			signals := signaltest.New()
			budget := &fakeBudget{grants: random.Int64N(40)} // less than what an adaptive hedge may be ahead of its share
			opts := []hedge.Option{hedge.WithTelemetry(signals.Metrics()...), hedge.WithMaxCopies(2 + random.IntN(4)), hedge.WithBudget(budget)}
			if random.IntN(2) == 0 {
				opts = append(opts, hedge.WithDelay(time.Duration(1+random.IntN(20))*time.Millisecond))
			} else {
				opts = append(opts, hedge.WithAdaptiveDelay(0.5, time.Millisecond, 20*time.Millisecond))
			}
			h := hedge.MustNew("h", opts...)
			var made sync.Map
			var calls, started atomic.Int64
			var group sync.WaitGroup
			for g := range 8 {
				random := rand.New(rand.NewPCG(seed, round<<8|uint64(g)))
				group.Go(func() {
					for i := range 5 {
						calls.Add(1)
						randomCall(t, h, random.Uint64(), g*100+i, &made, &started)
					}
				})
			}
			group.Wait()
			time.Sleep(time.Minute)
			made.Range(func(key, _ any) bool {
				v := key.(*token)
				assert.EqualValues(t, 1, v.delivered.Load()+v.discarded.Load(), "seed %d round %d: call %d copy %d: delivered %d, discarded %d",
					seed, round, v.call, v.copy, v.delivered.Load(), v.discarded.Load())
				return true
			})
			counts, total := signals.All(t), 0.0
			for _, result := range []string{"primary", "hedge", "failed", "canceled", "panic"} {
				total += counts[hedgeCalls+result]
			}
			assert.EqualValues(t, calls.Load(), total)
			assert.Equal(t, started.Load(), calls.Load()+int64(counts[hedgeCopies+"sent"]))
			assert.EqualValues(t, counts[hedgeCopies+"sent"], budget.withdrawn.Load()-budget.denied.Load()-budget.refunds.Load())
			assert.EqualValues(t, counts[hedgeCopies+"denied"], budget.denied.Load())
			assert.Equal(t, calls.Load(), budget.deposits.Load())
		})
	}
}

func randomCall(t *testing.T, h *hedge.Hedge, seed uint64, call int, made *sync.Map, started *atomic.Int64) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	plan := rand.New(rand.NewPCG(seed, 1))
	if plan.IntN(4) == 0 {
		timer := time.AfterFunc(time.Duration(1+plan.IntN(40))*time.Millisecond, cancel)
		defer timer.Stop()
	}
	defer func() {
		if p := recover(); p != nil {
			assert.Equal(t, call, p)
		}
	}()
	value, err := hedge.DoValue(ctx, h, func(ctx context.Context) (*token, error) {
		started.Add(1)
		number := 1
		if a := resilience.AttemptFrom(ctx); a != nil {
			number = a.Number
		}
		own := rand.New(rand.NewPCG(seed, uint64(number)+100))
		takes := time.Duration(own.IntN(60)) * time.Millisecond / time.Duration(1+own.IntN(3)) // in step with others now and then
		if own.IntN(2) == 0 {
			time.Sleep(takes)
		} else {
			select {
			case <-time.After(takes):
			case <-ctx.Done():
			}
		}
		switch own.IntN(12) {
		case 0:
			return &token{call: -1}, errTransient // beside an error: nobody's
		case 1:
			return nil, errPermanent
		case 2:
			panic(call)
		case 3:
			runtime.Goexit()
		}
		v := &token{call: call, copy: number}
		made.Store(v, true)
		return v, nil
	}, func(v *token) {
		v.discarded.Add(1)
		assert.Equal(t, call, v.call)
		if v.copy%2 == 0 {
			panic("discard")
		}
	})
	switch {
	case err == nil:
		v := value
		v.delivered.Add(1)
		assert.Equal(t, call, v.call, "the value of another call")
	case value != nil:
		assert.Equal(t, -1, value.call)
	}
}

// With two copies that end at the same instant the value and the error that are returned
// are those of one copy.
func TestValuesAreNotMixed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := hedge.MustNew("h", hedge.WithDelay(time.Millisecond), hedge.WithMaxCopies(5))
		won := map[int]int{}
		for i := range 500 {
			began := time.Now()
			value, err := hedge.DoValue(t.Context(), h, func(ctx context.Context) ([2]int, error) {
				number := 1
				if a := resilience.AttemptFrom(ctx); a != nil {
					number = a.Number
				}
				time.Sleep(5*time.Millisecond - time.Since(began)) // all at once
				v := [2]int{i, number}
				if number%2 == 0 {
					return v, resilience.Permanent(fmt.Errorf("copy %d of call %d", number, i))
				}
				return v, nil
			}, nil)
			assert.Equal(t, i, value[0])
			won[value[1]]++
			if value[1]%2 == 0 {
				assert.EqualError(t, err, fmt.Sprintf("copy %d of call %d", value[1], i))
			} else {
				assert.NoError(t, err)
			}
		}
		t.Logf("calls won by copy: %v", won)
		assert.Greater(t, len(won), 1, "the race was none")
	})
}

// slowError takes its time to say what it is.
type slowError struct{}

func (slowError) Error() string { return "slow" }

func (slowError) Is(error) bool {
	time.Sleep(second)
	return false
}

// What comes while the caller is on its way out is discarded.
func TestValueThatComesWhileTheCallerLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		h := hedge.MustNew("h")
		lost := make(chan int, 1)
		_, err := hedge.DoValue(ctx, h, func(context.Context) (int, error) {
			cancel(slowError{})
			time.Sleep(second / 2)
			return 7, nil
		}, func(value int) { lost <- value })
		assert.ErrorIs(t, err, context.Canceled)
		assert.Equal(t, 7, <-lost)
	})
}

// A call that ends without a result leaves the measuring of the delay to the next one.
func TestCallsThatMeasureNothing(t *testing.T) {
	t.Parallel()
	h := hedge.MustNew("h", hedge.WithTelemetry(telemetry.Off()))
	for _, end := range []func(cancel func()) error{
		func(cancel func()) error { cancel(); return nil },
		func(func()) error { return errTransient },
		func(func()) error { panic("op") },
		func(func()) error { runtime.Goexit(); return nil },
	} {
		func() {
			defer func() { _ = recover() }()
			ctx, cancel := context.WithCancel(t.Context())
			_, _ = hedge.DoValue(ctx, h, func(ctx context.Context) (int, error) {
				err := end(cancel)
				return 1, errors.Join(err, ctx.Err())
			}, nil)
		}()
		assert.Equal(t, time.Minute, h.Delay())
	}
	_, err := hedge.DoValue(t.Context(), h, func(context.Context) (int, error) { return 1, nil }, nil)
	assert.NoError(t, err)
	assert.Equal(t, 50*time.Second, h.Delay())
}

// An untroubled call costs a goroutine and a bounded number of allocations.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	h := hedge.MustNew("h")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	op := func(context.Context) (int, error) { return 1, nil }
	allocations := testing.AllocsPerRun(1000, func() { _, _ = hedge.DoValue(ctx, h, op, nil) })
	t.Logf("%.0f allocations", allocations)
	assert.LessOrEqual(t, allocations, 13.0)
	never := resilience.NoRetry(ctx)
	assert.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = hedge.DoValue(never, h, op, nil) }))
}
