package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/ratelimit"
)

func TestWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limit := ratelimit.MustNew("l", 10, ratelimit.WithBurst(2), ratelimit.WithMaxWait(300*time.Millisecond))
		began := time.Now()
		var mu sync.Mutex
		var sent []string
		for i := range 7 {
			go func() {
				err := limit.Do(t.Context(), func(context.Context) error {
					mu.Lock()
					defer mu.Unlock()
					sent = append(sent, fmt.Sprint(i, " ", time.Since(began)))
					return nil
				})
				if i < 5 {
					assert.NoError(t, err)
					return
				}
				assert.Zero(t, time.Since(began), "at once")
				assert.Equal(t, &ratelimit.RateError{Name: "l", Rate: 10, Reason: ratelimit.ReasonWait, After: 400 * time.Millisecond}, err)
				assert.EqualError(t, err, "l: the rate limit is reached (10 calls/s): the turn comes later than a call may wait, call again in 400ms")
			}()
			synctest.Wait()
		}
		assert.False(t, limit.Allow(), "it passes nobody")
		time.Sleep(time.Second)
		mu.Lock()
		defer mu.Unlock()
		assert.Equal(t, []string{"0 0s", "1 0s", "2 100ms", "3 200ms", "4 300ms"}, sent, "in the order of arrival")
	})
}

// A call that would have its turn after its deadline, or just then, is refused at once.
func TestDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limit := ratelimit.MustNew("l", 1, ratelimit.WithMaxWait(time.Minute))
		require.NoError(t, limit.Wait(t.Context()))
		began := time.Now()
		for _, left := range []time.Duration{1, time.Millisecond, time.Second} {
			ctx, cancel := context.WithTimeout(t.Context(), left)
			defer cancel()
			e := refusal(t, limit.Do(ctx, succeed))
			assert.Equal(t, ratelimit.RateError{Name: "l", Rate: 1, Reason: ratelimit.ReasonDeadline, After: time.Second}, e)
			assert.Equal(t, "l: the rate limit is reached (1 calls/s): the context ends before the turn, call again in 1s", e.Error())
			require.NoError(t, ctx.Err())
		}
		assert.Zero(t, time.Since(began))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second+1)
		defer cancel()
		require.NoError(t, limit.Do(ctx, succeed), "the others have taken nothing")
		assert.Equal(t, time.Second, time.Since(began))

		// Without a wait the reason is the rate, whatever the deadline.
		limit = ratelimit.MustNew("l", 1)
		require.NoError(t, limit.Do(ctx, succeed))
		assert.Equal(t, ratelimit.ReasonRate, refusal(t, limit.Do(ctx, succeed)).Reason)
	})
}

func TestCancellation(t *testing.T) {
	t.Parallel()
	errGone := errors.New("the user has gone")
	wait := func(t *testing.T, limit *ratelimit.Limiter) (cancel func() error) {
		t.Helper()
		ctx, end := context.WithCancelCause(t.Context())
		done := make(chan error, 1)
		go func() { done <- limit.Do(ctx, func(context.Context) error { panic("called") }) }()
		synctest.Wait()
		return func() error { end(errGone); return <-done }
	}
	t.Run("its turn goes to the next", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			limit := ratelimit.MustNew("l", 1, ratelimit.WithMaxWait(time.Minute))
			require.True(t, limit.Allow())
			began := time.Now()
			first, second := wait(t, limit), wait(t, limit)
			time.Sleep(time.Second / 2)
			require.Error(t, second())
			err := first()
			require.ErrorIs(t, err, errGone)
			require.ErrorIs(t, err, context.Canceled)
			require.EqualError(t, err, "l: the context ended before the call's turn: the user has gone: context canceled")
			assert.Equal(t, resilience.ClassPermanent, resilience.Classify(err), "it is no refusal")
			require.NoError(t, limit.Wait(t.Context()))
			assert.Equal(t, time.Second, time.Since(began))
			time.Sleep(time.Second - 1)
			assert.False(t, limit.Allow())
			time.Sleep(time.Nanosecond)
			assert.True(t, limit.Allow())
		})
	})
	t.Run("its turn is lost after a later call", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			limit := ratelimit.MustNew("l", 1, ratelimit.WithMaxWait(time.Minute))
			require.True(t, limit.Allow())
			began := time.Now()
			cancel := wait(t, limit)
			later := make(chan time.Duration, 1)
			go func() { _ = limit.Wait(t.Context()); later <- time.Since(began) }()
			synctest.Wait()
			require.Error(t, cancel())
			require.NoError(t, limit.Wait(t.Context()))
			assert.Equal(t, 2*time.Second, <-later)
			assert.Equal(t, 3*time.Second, time.Since(began))
		})
	})
	t.Run("a context that is done takes no turn", func(t *testing.T) {
		t.Parallel()
		limit := ratelimit.MustNew("l", 1)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := limit.Do(ctx, func(context.Context) error { panic("called") })
		require.ErrorIs(t, err, context.Canceled)
		require.EqualError(t, err, "l: the context ended before the call's turn: context canceled")
		require.Error(t, limit.Wait(ctx))
		assert.True(t, limit.Allow())
	})
}

func TestSetRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limit := ratelimit.MustNew("l", 1, ratelimit.WithBurst(4), ratelimit.WithMaxWait(time.Hour))
		count := func() (n int) {
			for limit.Allow() {
				n++
			}
			return n
		}
		require.True(t, limit.Allow())
		require.True(t, limit.Allow())
		time.Sleep(time.Second / 2) // 2.5 are left
		require.NoError(t, limit.SetRate(1000))
		assert.InDelta(t, 1000, limit.Rate(), 0)
		assert.Equal(t, 2, count(), "what is left of the burst stays")
		time.Sleep(time.Second / 2000)
		assert.Equal(t, 1, count(), "also half a call")
		time.Sleep(time.Second)
		assert.Equal(t, 4, count(), "the burst stays")

		// The calls that wait keep their turns, and nobody passes them.
		require.NoError(t, limit.SetRate(1))
		began := time.Now()
		turns := make(chan time.Duration, 3)
		wait := func() {
			go func() {
				assert.NoError(t, limit.Wait(t.Context()))
				turns <- time.Since(began)
			}()
			synctest.Wait()
		}
		wait()
		wait()
		require.NoError(t, limit.SetRate(10))
		wait()
		assert.Equal(t, time.Second, <-turns)
		assert.Equal(t, 2*time.Second, <-turns)
		assert.Equal(t, 2100*time.Millisecond, <-turns)
		require.NoError(t, limit.SetRate(0.1))
		assert.Equal(t, 10*time.Second, refusal(t, limitWithin(t, limit, time.Second)).After)
	})
}

// The rate rises while calls wait at the old one. When they have left the new one is there.
func TestWaitersLeaveAfterSetRate(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		set   []float64
		leave []int
		wait  time.Duration
	}{
		"not at all":      {nil, []int{1, 0}, 10 * time.Minute},
		"once":            {[]float64{100}, []int{1, 0}, 10 * time.Millisecond},
		"the same twice":  {[]float64{100, 100}, []int{1, 0}, 10 * time.Millisecond},
		"to what it was":  {[]float64{1. / 600}, []int{1, 0}, 10 * time.Minute},
		"only one leaves": {[]float64{100}, []int{1}, 10*time.Minute + 10*time.Millisecond},
		// What is lost.
		"twice":           {[]float64{50, 100}, []int{1, 0}, 20*time.Minute + 10*time.Millisecond},
		"the first one":   {[]float64{100}, []int{0}, 20*time.Minute + 10*time.Millisecond},
		"the first first": {[]float64{100}, []int{0, 1}, 10*time.Minute + 10*time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				limit := ratelimit.MustNew("l", 1./600, ratelimit.WithMaxWait(time.Hour))
				require.True(t, limit.Allow())
				var leave [2]context.CancelFunc
				for i := range leave {
					ctx, cancel := context.WithCancel(t.Context())
					leave[i] = cancel
					defer cancel()
					go func() { _ = limit.Wait(ctx) }()
					synctest.Wait()
				}
				for _, rate := range tt.set {
					require.NoError(t, limit.SetRate(rate))
				}
				began := time.Now()
				for _, i := range tt.leave {
					leave[i]()
					synctest.Wait()
				}
				require.NoError(t, limit.Wait(t.Context()))
				assert.Equal(t, tt.wait, time.Since(began))
				assert.False(t, limit.Allow())
			})
		})
	}
}

// limitWithin waits for a turn within d.
func limitWithin(t *testing.T, limit *ratelimit.Limiter, d time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	return limit.Wait(ctx)
}

// Calls come at random, wait, are cancelled and reach their deadlines. In no window more
// are sent than the bound allows, and while calls are refused the rate is used.
func TestBoundInEveryWindow(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	for round := range uint64(8) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, round))
			const rate = 250.0
			burst := 1 + random.IntN(5)
			maxWait := time.Duration(random.IntN(5)) * 10 * time.Millisecond
			limit := ratelimit.MustNew("l", rate, ratelimit.WithBurst(burst), ratelimit.WithMaxWait(maxWait))
			began := time.Now()
			var mu sync.Mutex
			var sent []time.Duration
			var group sync.WaitGroup
			for range 2000 {
				patience := time.Duration(random.Int64N(int64(200 * time.Millisecond)))
				kind := random.IntN(3)
				group.Go(func() {
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					switch kind {
					case 0:
						ctx, cancel = context.WithTimeout(ctx, patience)
						defer cancel()
					case 1:
						stop := time.AfterFunc(patience/8, cancel)
						defer stop.Stop()
					}
					_ = limit.Do(ctx, func(context.Context) error {
						mu.Lock()
						defer mu.Unlock()
						sent = append(sent, time.Since(began))
						return nil
					})
				})
				time.Sleep(time.Duration(random.ExpFloat64() * float64(time.Second) / rate / 1.5))
			}
			group.Wait()
			for i := range sent {
				for j := i; j < len(sent) && j < i+200; j++ {
					if most := float64(burst) + rate*(sent[j]-sent[i]).Seconds(); float64(j-i+1) > most+1e-6 {
						t.Fatalf("seed %d round %d: %d in %v, where %.2f are allowed", seed, round, j-i+1, sent[j]-sent[i], most)
					}
				}
			}
			assert.Greater(t, float64(len(sent)), 0.5*rate*time.Since(began).Seconds(), "seed %d round %d", seed, round)
		})
	}
}
