package hedge_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/internal/signaltest"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/hedge"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// A panic of any copy that runs comes up unchanged, and ends the others.
func TestPanic(t *testing.T) {
	t.Parallel()
	for _, number := range []int{1, 2} {
		for _, value := range []any{"text", errPlain, &way{}, 7} {
			synctest.Test(t, func(t *testing.T) {
				signals := signaltest.New()
				h := hedge.MustNew("h", hedge.WithTelemetry(signals.Metrics()...), hedge.WithDelay(second))
				var other context.Context
				assert.PanicsWithValue(t, value, func() {
					_, _ = hedge.DoValue(t.Context(), h, func(ctx context.Context) (int, error) {
						if a := resilience.AttemptFrom(ctx); (a != nil) == (number == 2) {
							time.Sleep(2 * second)
							panic(value)
						}
						other = ctx
						<-ctx.Done()
						return 0, ctx.Err()
					}, nil)
				})
				synctest.Wait()
				assert.ErrorIs(t, context.Cause(other), hedge.ErrLost)
				assert.Equal(t, map[string]float64{hedgeCalls + "panic": 1, hedgeCopies + "sent": 1, hedgeDelay: 1}, signals.All(t))
			})
		}
	}
	signals := signaltest.New()
	h := hedge.MustNew("h", hedge.WithTelemetry(signals.Metrics()...))
	ctx := resilience.NoRetry(t.Context())
	assert.PanicsWithValue(t, "once", func() {
		_, _ = hedge.DoValue(ctx, h, func(context.Context) (int, error) { panic("once") }, nil)
	})
	assert.Equal(t, map[string]float64{hedgeCalls + "panic": 1, hedgeDelay: 60}, signals.All(t))
}

// A nil panic and the panic of a classifier are panics too, and a Goexit is an error.
func TestWhatElseEndsACopy(t *testing.T) {
	t.Parallel()
	h := hedge.MustNew("h", hedge.WithTelemetry(telemetry.Off()))
	func() {
		defer func() { assert.IsType(t, &runtime.PanicNilError{}, recover()) }()
		_, _ = hedge.DoValue(t.Context(), h, func(context.Context) (int, error) { panic(nil) }, nil)
	}()
	asks := hedge.MustNew("h", hedge.WithTelemetry(telemetry.Off()), hedge.WithClassifier(func(error) resilience.Class { panic("asked") }))
	assert.PanicsWithValue(t, "asked", func() {
		_, _ = hedge.DoValue(t.Context(), asks, func(context.Context) (int, error) { return 0, errPlain }, nil)
	})
	_, err := hedge.DoValue(t.Context(), h, func(context.Context) (int, error) { runtime.Goexit(); return 1, nil }, nil)
	require.EqualError(t, err, "hedge: the operation called runtime.Goexit")
}

// What a copy panicked with after the end is counted also if nobody listens, and passes
// through what the user shows of errors.
func TestPanicOfALoser(t *testing.T) {
	t.Parallel()
	lose := func(t *testing.T, signals *signaltest.Signals, value any, opts ...telemetry.Option) []signaltest.Event {
		t.Helper()
		h := hedge.MustNew("h", hedge.WithTelemetry(opts...), hedge.WithDelay(second))
		return signals.Span(t.Context(), func(ctx context.Context) {
			_, err := hedge.DoValue(ctx, h, func(ctx context.Context) (int, error) {
				if resilience.AttemptFrom(ctx) == nil {
					time.Sleep(2 * second)
					panic(value)
				}
				return 1, nil
			}, nil)
			assert.NoError(t, err)
			time.Sleep(10 * second)
			synctest.Wait()
		})
	}
	for _, value := range []any{errPlain, "text", 7} {
		synctest.Test(t, func(t *testing.T) {
			signals := signaltest.New()
			lose(t, signals, value, append(signals.Metrics(), telemetry.WithEvents(telemetry.EventsNone))...)
			assert.EqualValues(t, 1, signals.All(t)[hedgeCopies+"panicked"])

			var shown []error
			show := telemetry.WithErrorText(func(err error) string { shown = append(shown, err); return "shown" })
			signals = signaltest.New()
			events := lose(t, signals, value, append(signals.Options(), show)...)
			require.NotEmpty(t, events)
			last := events[len(events)-1]
			assert.Equal(t, telemetry.EventHedgePanicked, last.Name)
			assert.Equal(t, "shown", last.Attributes[telemetry.AttrErrorMessage])
			lines := signals.Lines()
			require.Len(t, lines, 1)
			assert.Contains(t, lines[0], `level=ERROR msg="h: Copy 1 panicked after the call had ended: shown"`)
			require.Len(t, shown, 1)
			assert.EqualError(t, shown[0], fmt.Sprint(value))
			if err, ok := value.(error); ok {
				assert.Equal(t, err, shown[0])
			}
		})
	}
}

// A discard that panics or leaves its goroutine harms nobody, and is not called again.
func TestDiscardThatPanics(t *testing.T) {
	t.Parallel()
	for _, discard := range []func(){func() { panic("discard") }, runtime.Goexit} {
		synctest.Test(t, func(t *testing.T) {
			signals, discarded := signaltest.New(), 0
			h := hedge.MustNew("h", hedge.WithTelemetry(signals.Metrics()...), hedge.WithDelay(second))
			signals.Span(t.Context(), func(ctx context.Context) {
				value, err := hedge.DoValue(ctx, h, func(ctx context.Context) (int, error) {
					if resilience.AttemptFrom(ctx) == nil {
						time.Sleep(5 * second)
					}
					return 1, nil
				}, func(int) { discarded++; discard() })
				assert.NoError(t, err)
				assert.Equal(t, 1, value)
				time.Sleep(10 * second)
				synctest.Wait()
			})
			assert.Equal(t, 1, discarded)
		})
	}
}
