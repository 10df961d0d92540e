package sim_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/lab/sim"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/budget"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

func TestTimePassesWhenAllWait(t *testing.T) {
	t.Parallel()
	w := sim.New(1)
	defer w.Close()
	var log []string
	say := func(what string) { log = append(log, fmt.Sprint(w.Elapsed(), " ", what)) }
	for _, name := range []string{"a", "b"} {
		w.Go(func() {
			say(name)
			w.Sleep(time.Second)
			say(name)
			w.Go(func() { say("child of " + name) })
			w.Sleep(0)
			say(name + " again")
		})
	}
	w.At(500*time.Millisecond, func() { say("event") })
	w.Run(700 * time.Millisecond)
	assert.Equal(t, 700*time.Millisecond, w.Elapsed())
	w.Run(time.Minute)
	assert.Equal(t, []string{
		"0s a", "0s b", "500ms event", "1s a", "1s child of a", "1s b", "1s child of b", "1s a again", "1s b again",
	}, log)
	assert.Equal(t, sim.Epoch.Add(time.Minute), w.Now())
}

// in runs f as a task and returns when it ended.
func in(t *testing.T, f func(w *sim.World)) {
	t.Helper()
	w := sim.New(1)
	defer w.Close()
	ended := false
	w.Go(func() { f(w); ended = true })
	w.Run(time.Hour)
	require.True(t, ended)
}

type key struct{}

var errCause = errors.New("cause")

func TestContextEndsWait(t *testing.T) {
	t.Parallel()
	in(t, func(w *sim.World) {
		outer, cancelOuter := w.WithTimeoutCause(context.Background(), time.Second, errCause)
		defer cancelOuter()
		valued := context.WithValue(outer, key{}, 1)
		inner, cancel := w.WithTimeoutCause(valued, time.Minute, nil)
		defer cancel()
		deadline, ok := inner.Deadline()
		assert.True(t, ok)
		assert.Equal(t, sim.Epoch.Add(time.Second), deadline, "the earlier one")
		require.ErrorIs(t, w.Wait(inner, time.Hour), context.DeadlineExceeded)
		assert.Equal(t, time.Second, w.Elapsed())
		assert.Equal(t, context.DeadlineExceeded, inner.Err())
		assert.Equal(t, errCause, context.Cause(inner))
		<-inner.Done()
		require.ErrorIs(t, w.Wait(inner, time.Hour), context.DeadlineExceeded)
		assert.Equal(t, time.Second, w.Elapsed())
	})
	in(t, func(w *sim.World) {
		ctx, cancel := w.WithCancelCause(context.Background())
		child, end := w.WithTimeoutCause(ctx, time.Minute, nil)
		defer end()
		w.At(time.Second, func() { cancel(errCause) })
		require.ErrorIs(t, w.Wait(child, time.Hour), context.Canceled)
		assert.Equal(t, time.Second, w.Elapsed())
		assert.Equal(t, errCause, context.Cause(child))
		w.Sleep(2 * time.Minute)
		assert.Equal(t, context.Canceled, child.Err(), "its deadline came later")
	})
	in(t, func(w *sim.World) {
		parent, cancelParent := w.WithTimeoutCause(context.Background(), time.Second, nil)
		defer cancelParent()
		child, cancel := w.WithCancelCause(parent)
		cancel(errCause)
		w.Sleep(time.Minute)
		assert.Equal(t, context.Canceled, child.Err())
		assert.Equal(t, context.DeadlineExceeded, parent.Err())
		late, cancelLate := w.WithTimeoutCause(parent, time.Hour, nil)
		defer cancelLate()
		assert.Equal(t, context.DeadlineExceeded, late.Err())
		past, cancelPast := w.WithTimeoutCause(context.Background(), -1, errCause)
		defer cancelPast()
		assert.Equal(t, context.DeadlineExceeded, past.Err())
	})
}

func TestSignal(t *testing.T) {
	t.Parallel()
	in(t, func(w *sim.World) {
		s := w.NewSignal()
		ctx, cancel := w.WithTimeoutCause(context.Background(), time.Minute, nil)
		defer cancel()
		assert.Equal(t, clock.WakeElapsed, s.Wait(ctx, 0))
		s.Set()
		s.Set()
		assert.Equal(t, clock.WakeSet, s.Wait(ctx, 0))
		assert.Equal(t, clock.WakeElapsed, s.Wait(ctx, time.Second))
		w.At(10*time.Second, s.Set)
		assert.Equal(t, clock.WakeSet, s.Wait(ctx, -1))
		assert.Equal(t, 10*time.Second, w.Elapsed())
		assert.Equal(t, clock.WakeDone, s.Wait(ctx, -1))
		assert.Equal(t, time.Minute, w.Elapsed())
	})
}

func TestPanicOfTask(t *testing.T) {
	t.Parallel()
	w := sim.New(1)
	w.Go(func() { w.Sleep(1); panic("boom") })
	assert.PanicsWithValue(t, "boom", func() { w.Run(time.Second) })
	w.Close()
	w.Close()
}

// Close ends what waits, also within the loop of a policy.
func TestClose(t *testing.T) {
	before := runtime.NumGoroutine()
	w := sim.New(1)
	p := retry.MustNew("a", retry.WithClock(w), retry.WithTelemetry(telemetry.Off()))
	for range 100 {
		w.Go(func() {
			_ = p.Do(context.Background(), func(context.Context) error { return resilience.Retryable(errCause) })
		})
	}
	w.Run(time.Millisecond)
	w.Close()
	assert.LessOrEqual(t, runtime.NumGoroutine(), before+1)
}

// story is all that happens in a world of policies.
func story(seed uint64) string {
	w := sim.New(seed)
	defer w.Close()
	b := budget.MustNew("b", budget.WithClock(w), budget.WithTelemetry(telemetry.Off()))
	p := retry.MustNew("a", retry.WithClock(w), retry.WithTelemetry(telemetry.Off()), retry.WithBudget(b), retry.WithAttemptTimeout(50*time.Millisecond))
	var log strings.Builder
	for i := range 50 {
		w.Go(func() {
			for range 20 {
				w.Sleep(time.Duration(w.Rand().ExpFloat64() * float64(time.Second)))
				err := p.Do(context.Background(), func(ctx context.Context) error {
					if err := w.Wait(ctx, time.Duration(w.Rand().ExpFloat64()*float64(30*time.Millisecond))); err != nil {
						return err
					}
					if w.Random() < 0.3 {
						return resilience.Retryable(errCause)
					}
					return nil
				})
				fmt.Fprintln(&log, w.Elapsed(), i, err, b.Tokens())
			}
		})
	}
	w.Run(time.Hour)
	return log.String()
}

func TestSameSeedSameStory(t *testing.T) {
	first := story(7)
	assert.Equal(t, 1000, strings.Count(first, "\n"))
	assert.Contains(t, first, "attempts")
	for _, procs := range []int{1, 2, 8} {
		old := runtime.GOMAXPROCS(procs)
		assert.Equal(t, first, story(7))
		runtime.GOMAXPROCS(old)
	}
	assert.NotEqual(t, first, story(8))
}

// BenchmarkCalls makes calls of many callers through a retry with a shared budget.
func BenchmarkCalls(b *testing.B) {
	for _, timeouts := range []bool{false, true} {
		b.Run(fmt.Sprint("timeouts=", timeouts), func(b *testing.B) {
			w := sim.New(1)
			defer w.Close()
			shared := budget.MustNew("b", budget.WithClock(w), budget.WithTelemetry(telemetry.Off()))
			opts := []retry.Option{retry.WithClock(w), retry.WithTelemetry(telemetry.Off()), retry.WithBudget(shared)}
			if timeouts {
				opts = append(opts, retry.WithAttemptTimeout(time.Second))
			}
			p := retry.MustNew("a", opts...)
			calls := 0
			for range 100 {
				w.Go(func() {
					ctx := context.Background()
					for calls < b.N {
						calls++
						_ = p.Do(ctx, func(ctx context.Context) error {
							if err := w.Wait(ctx, time.Duration(w.Rand().ExpFloat64()*float64(10*time.Millisecond))); err != nil {
								return err
							}
							if w.Random() < 0.1 {
								return resilience.Retryable(errCause)
							}
							return nil
						})
					}
				})
			}
			b.ReportAllocs()
			b.ResetTimer()
			w.Run(time.Duration(1 << 62))
			b.ReportMetric(float64(calls)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}
