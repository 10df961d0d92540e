package timeout_test

import (
	"context"
	"errors"
	"runtime"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"

	"github.com/observable-go/toolkit/internal/signaltest"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/telemetry"
	"github.com/observable-go/toolkit/resilience/timeout"
)

// sleep is an operation that takes d and obeys its context.
func sleep(d time.Duration) resilience.Operation {
	return func(ctx context.Context) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func TestInvalid(t *testing.T) {
	t.Parallel()
	for _, limit := range []time.Duration{0, -1} {
		_, err := timeout.New("t", limit)
		require.ErrorContains(t, err, `timeout: "t": limit: `)
		require.ErrorContains(t, err, "want more than 0s")
	}
	_, err := timeout.New(" ", 1)
	require.ErrorContains(t, err, "timeout: name: ")
	_, err = timeout.New("t", 1, nil, timeout.WithTelemetry(telemetry.WithMeterProvider(nil)))
	require.ErrorContains(t, err, `timeout: "t": telemetry: WithMeterProvider: nil is not allowed`)
	assert.Panics(t, func() { timeout.MustNew("t", 0) })

	limit := timeout.MustNew("t", 1)
	require.ErrorContains(t, limit.Do(t.Context(), nil), "the operation is nil")
	//nolint:staticcheck // that is what is tested
	require.ErrorContains(t, limit.Do(nil, sleep(0)), "the context is nil")
	var none *timeout.Timeout
	require.NoError(t, none.Do(t.Context(), func(ctx context.Context) error {
		_, bounded := ctx.Deadline()
		assert.False(t, bounded)
		return nil
	}))
	assert.Empty(t, none.Name())
	assert.Zero(t, none.Limit())
	none.Warn(t.Context(), resilience.Problem{})
	assert.Equal(t, resilience.Description{Kind: "timeout"}, none.Describe())
	assert.Equal(t, resilience.Description{Kind: "timeout", Name: "t", Timeout: 1}, limit.Describe())
}

func TestTimesOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limit := timeout.MustNew("t", time.Second)
		began := time.Now()
		err := limit.Do(t.Context(), sleep(time.Minute))
		assert.Equal(t, time.Second, time.Since(began))
		var e *timeout.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, timeout.Error{Name: "t", Limit: time.Second, Err: context.DeadlineExceeded}, *e)
		assert.Equal(t, "t: timed out after 1s: context deadline exceeded", err.Error())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, resilience.ClassRetryable, resilience.Classify(err))
		assert.Equal(t, "timeout", resilience.ErrorType(err))
		require.NoError(t, limit.Do(t.Context(), sleep(999*time.Millisecond)))
	})
}

// Whatever the operation says of the end of its context, the timeout says what it was; what
// the operation says of itself counts.
func TestErrorAfterTheTimeIsWrapped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limit := timeout.MustNew("t", time.Second)
		errOwn := errors.New("own")
		for _, tt := range []struct {
			err  error
			want resilience.Class
		}{
			{errOwn, resilience.ClassRetryable},
			{context.Canceled, resilience.ClassRetryable},
			{syscall.ECONNRESET, resilience.ClassRetryable},
			{resilience.Permanent(errOwn), resilience.ClassPermanent},
			{resilience.Refused(errOwn), resilience.ClassRefused},
		} {
			value, err := timeout.DoValue(t.Context(), limit, func(ctx context.Context) (int, error) {
				<-ctx.Done()
				require.ErrorContains(t, context.Cause(ctx), "timeout t of 1s")
				return 7, tt.err
			})
			assert.Equal(t, 7, value, "the value is not lost")
			require.ErrorIs(t, err, tt.err)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, tt.want, resilience.Classify(err), "%v", tt.err)
		}
	})
}

func TestNeverReturnsBeforeTheOperation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		value, err := timeout.DoValue(t.Context(), timeout.MustNew("t", time.Second), func(context.Context) (int, error) {
			time.Sleep(time.Hour) // deaf
			return 7, nil
		})
		require.NoError(t, err, "a success that comes late is a success")
		assert.Equal(t, 7, value)
		assert.Equal(t, time.Hour, time.Since(began))
	})
}

// The caller's own end is not the timeout's.
func TestCallersContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limit := timeout.MustNew("t", time.Minute)
		sooner, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := limit.Do(sooner, func(ctx context.Context) error {
			assert.Equal(t, sooner, ctx, "nothing is armed")
			return sleep(time.Hour)(ctx)
		})
		assert.Equal(t, context.DeadlineExceeded, err)

		later, cancel := context.WithCancel(t.Context())
		go func() { time.Sleep(time.Second); cancel() }()
		assert.Equal(t, context.Canceled, limit.Do(later, sleep(time.Hour)))
		assert.Equal(t, context.Canceled, limit.Do(later, func(ctx context.Context) error {
			assert.Equal(t, later, ctx, "it is dead by now, so nothing is armed")
			return sleep(time.Hour)(ctx)
		}))
	})
}

func TestRetainOutlivesTheTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		retained, err := timeout.DoValue(ctx, timeout.MustNew("t", time.Second), func(ctx context.Context) (context.Context, error) {
			retained, release := resilience.Retain(ctx)
			t.Cleanup(release)
			return retained, nil
		})
		require.NoError(t, err)
		time.Sleep(time.Hour)
		require.NoError(t, retained.Err())
		cancel()
		synctest.Wait()
		require.Error(t, retained.Err())
	})
}

func TestSignals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		signals := signaltest.New()
		limit := timeout.MustNew("t", time.Second, timeout.WithTelemetry(signals.Options()...))
		calls := func() map[string]float64 { return signals.Metric(t, telemetry.MetricTimeoutCalls) }
		assert.Equal(t, map[string]float64{"t completed": 0, "t timed_out": 0, "t panic": 0}, calls(), "from the first export on")

		events := signals.Span(t.Context(), func(ctx context.Context) {
			_ = limit.Do(ctx, sleep(0))
			_ = limit.Do(ctx, sleep(time.Hour))
			assert.PanicsWithValue(t, "boom", func() { _ = limit.Do(ctx, func(context.Context) error { panic("boom") }) })
			done := make(chan struct{})
			go func() {
				defer close(done)
				_ = limit.Do(ctx, func(context.Context) error { runtime.Goexit(); return nil })
			}()
			<-done
			dead, cancel := context.WithCancel(ctx)
			cancel()
			_ = limit.Do(dead, sleep(1))
		})
		assert.Equal(t, map[string]float64{"t completed": 2, "t timed_out": 1, "t panic": 2}, calls())
		assert.Equal(t, []signaltest.Event{{Name: telemetry.EventTimeoutExceeded, Attributes: map[attribute.Key]any{
			telemetry.AttrPolicyName: "t", telemetry.AttrPolicyKind: "timeout", telemetry.AttrTimeoutLimit: 1.0,
		}}}, events)
		assert.Equal(t, []string{
			`level=DEBUG msg="t: Timed out after 1.00s" resilience.timeout.limit=1 resilience.policy.kind=timeout resilience.policy.name=t`,
		}, signals.Lines())

		limit.Warn(t.Context(), resilience.Problem{Reason: resilience.TimeoutTooShort, Detail: "why"})
		assert.Equal(t, map[string]float64{"timeout_too_short t": 1}, signals.Metric(t, telemetry.MetricCompositionWarnings))
	})
}

func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	limit := timeout.MustNew("t", time.Hour, timeout.WithTelemetry(signaltest.New().Metrics()...))
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		if v, err := timeout.DoValue(ctx, limit, func(context.Context) (int, error) { return 1, nil }); v != 1 || err != nil {
			t.Error("another result")
		}
	}), "the caller's deadline is sooner")
}
