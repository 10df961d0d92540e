package adaptive_test

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/adaptive"
)

// Calls are sent one by one, in the order in which they came.
func TestQueueIsFair(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := throttled(t)
		began := time.Now()
		var order []int
		var mu sync.Mutex
		var group sync.WaitGroup
		for i := range 6 {
			group.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				assert.ErrorIs(t, l.Do(t.Context(), func(context.Context) error {
					mu.Lock()
					defer mu.Unlock()
					order = append(order, i)
					return errRefused // so that the rate stays
				}), errRefused)
			})
		}
		group.Wait()
		assert.Equal(t, []int{0, 1, 2, 3, 4, 5}, order)
		assert.InDelta(t, (6-0.02848)/3.02848, time.Since(began).Seconds(), 1e-6)
	})
}

func TestDeadlineThatDoesNotFit(t *testing.T) {
	t.Parallel()
	next := time.Duration(math.Ceil((1 - 0.02848) / 3.02848 * 1e9)) // until there is a token
	for name, tt := range map[string]struct {
		timeout time.Duration
		fits    bool
	}{
		"shorter":     {next - time.Microsecond, false},
		"the same":    {next, false},
		"long enough": {next + time.Microsecond, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := throttled(t)
				ctx, cancel := context.WithTimeout(t.Context(), tt.timeout)
				defer cancel()
				began, called := time.Now(), false
				err := l.Do(ctx, func(context.Context) error { called = true; return errRefused })
				assert.Equal(t, tt.fits, called)
				if tt.fits {
					assert.ErrorIs(t, err, errRefused)
					return
				}
				var e *adaptive.RateError
				require.ErrorAs(t, err, &e)
				assert.Zero(t, time.Since(began), "at once")
				assert.Equal(t, adaptive.ReasonDeadline, e.Reason)
				assert.InDelta(t, next, e.After, 1e4)
			})
		})
	}
}

func TestMaxWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := throttled(t, adaptive.WithMaxWait(time.Second))
		var group sync.WaitGroup
		var sent, rejected atomic.Int64
		for range 10 {
			group.Go(func() {
				began := time.Now()
				err := l.Do(t.Context(), returning(errRefused))
				if e := (*adaptive.RateError)(nil); errors.As(err, &e) {
					rejected.Add(1)
					assert.Zero(t, time.Since(began))
					assert.Equal(t, adaptive.ReasonWait, e.Reason)
					assert.Greater(t, e.After, time.Second)
				} else {
					sent.Add(1)
					assert.LessOrEqual(t, time.Since(began), time.Second)
				}
			})
		}
		group.Wait()
		assert.Equal(t, int64(3), sent.Load(), "of 3.02848 and 0.02848 calls within a second")
		assert.Equal(t, int64(7), rejected.Load())

		never := throttled(t, adaptive.WithMaxWait(0))
		require.ErrorIs(t, never.Do(t.Context(), returning(nil)), adaptive.ErrRate)
		time.Sleep(time.Second)
		assert.NoError(t, never.Do(t.Context(), returning(nil)))
	})
}

// The rate falls while calls wait: the first looks again, and those whose time is over
// leave.
func TestRateFallsWhileCallsWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := throttled(t, adaptive.WithMaxWait(2*time.Second))
		answer := make(chan struct{})
		var group sync.WaitGroup
		time.Sleep(time.Second) // for a token to send the one that will be throttled
		group.Go(func() {
			_ = l.Do(t.Context(), func(context.Context) error { <-answer; return errSlowDown })
		})
		synctest.Wait()
		for range 2 {
			_ = l.Do(t.Context(), returning(errRefused)) // takes the rest
		}
		began := time.Now()
		var waits []time.Duration
		var errs []error
		var mu sync.Mutex
		for i := range 5 {
			group.Go(func() {
				time.Sleep(time.Duration(i) * time.Microsecond)
				err := l.Do(t.Context(), returning(errRefused))
				mu.Lock()
				defer mu.Unlock()
				waits, errs = append(waits, time.Since(began)), append(errs, err)
			})
		}
		time.Sleep(10 * time.Millisecond)
		close(answer)
		group.Wait()
		require.InDelta(t, 0.7*(0.8*1/1.0+0.2*4.3264), l.Rate(), 1e-9, "one call came back in a second")
		sent := 0
		for i, err := range errs {
			assert.LessOrEqual(t, waits[i], 2*time.Second+10*time.Microsecond, "%v", err)
			if errors.Is(err, errRefused) {
				sent++
				continue
			}
			require.ErrorIs(t, err, adaptive.ErrRate)
		}
		assert.Equal(t, 2, sent, "as the rate allows within two seconds")
	})
}

// Those whose turn would come too late at the rate to which it fell are rejected just then,
// and nobody waits behind them.
func TestRateFallsForLongQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := throttled(t)
		answer := make(chan struct{})
		var group sync.WaitGroup
		time.Sleep(time.Second) // for three tokens
		group.Go(func() {
			_ = l.Do(t.Context(), func(context.Context) error { <-answer; return errSlowDown })
		})
		synctest.Wait()
		for range 2 {
			_ = l.Do(t.Context(), returning(errRefused))
		}
		var impatient, patient atomic.Int64
		for i := range 180 { // two impatient ones in three, at three calls a second
			group.Go(func() {
				time.Sleep(time.Duration(i) * time.Microsecond)
				began := time.Now()
				rejected := &patient
				ctx := t.Context()
				if i%3 != 2 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, 59500*time.Millisecond)
					defer cancel()
					rejected = &impatient
				}
				err := l.Do(ctx, returning(errRefused)) // so that the rate stays
				if e := (*adaptive.RateError)(nil); errors.As(err, &e) {
					rejected.Add(1)
					assert.LessOrEqual(t, time.Since(began), time.Second, i)
					assert.InDelta(t, l.Rate(), e.Rate, 1e-9, i)
					assert.Greater(t, e.After, 58*time.Second, i)
				}
			})
		}
		time.Sleep(time.Second)
		assert.Zero(t, impatient.Load()+patient.Load())
		close(answer)
		synctest.Wait()
		rejected := impatient.Load() + patient.Load()
		t.Logf("rate %.2f/s: rejected %d impatient and %d patient calls", l.Rate(), impatient.Load(), patient.Load())
		assert.InDelta(t, 177-59*l.Rate(), rejected, 5)
		left := 177 - float64(rejected)

		began := time.Now()
		require.ErrorIs(t, l.Do(t.Context(), returning(errRefused)), errRefused, "it fits")
		assert.InDelta(t, (left+1)/l.Rate(), time.Since(began).Seconds(), 1)
		group.Wait()
		assert.Equal(t, rejected, impatient.Load()+patient.Load(), "nobody is rejected later")
	})
}

func TestCanceledWhileWaiting(t *testing.T) {
	t.Parallel()
	for name, place := range map[string]int{"the first": 0, "one in the middle": 1, "the last": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := throttled(t)
				began := time.Now()
				var group sync.WaitGroup
				took := make([]time.Duration, 3)
				ctx, cancel := context.WithCancelCause(t.Context())
				for i := range 3 {
					group.Go(func() {
						time.Sleep(time.Duration(i) * time.Microsecond)
						called := false
						caller := t.Context()
						if i == place {
							caller = ctx
						}
						err := l.Do(caller, func(context.Context) error { called = true; return errRefused })
						took[i] = time.Since(began)
						if i != place {
							assert.ErrorIs(t, err, errRefused)
							return
						}
						assert.False(t, called)
						assert.ErrorIs(t, err, errGone)
						assert.ErrorIs(t, err, context.Canceled)
						assert.NotErrorIs(t, err, adaptive.ErrRate)
						assert.NotEqual(t, resilience.ClassRefused, resilience.Classify(err))
					})
				}
				time.Sleep(time.Millisecond)
				cancel(errGone)
				group.Wait()
				assert.Equal(t, time.Millisecond, took[place])
				assert.InDelta(t, (2-0.02848)/3.02848, time.Since(began).Seconds(), 1e-5, "the others move up")
			})
		})
	}
}
