package fallback_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/internal/signaltest"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/fallback"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

var (
	errPlain     = errors.New("plain")
	errTransient = resilience.Retryable(errors.New("transient"))
	errPermanent = resilience.Permanent(errors.New("permanent"))
	errRefused   = resilience.Refused(errors.New("refused"))
	errOther     = errors.New("the cache is cold")
	errExit      = errors.New("stands for a runtime.Goexit")
	errPanic     = errors.New("stands for a panic")
)

func TestInvalidOptions(t *testing.T) {
	t.Parallel()
	handled := fallback.WithHandled(func(error) bool { return true })
	for _, c := range []struct {
		want string
		opts []fallback.Option
	}{
		{
			`fallback: "f": handled and classifier: both is not allowed: want one of them`,
			[]fallback.Option{handled, fallback.WithClassifier(resilience.Classify)},
		},
		{
			`fallback: "f": classifier: nil is not allowed: want a function`,
			[]fallback.Option{fallback.WithClassifier(nil)},
		},
		{
			`fallback: "f": handled: nil is not allowed: want a function`,
			[]fallback.Option{fallback.WithHandled(nil)},
		},
		{
			`fallback: "f": telemetry: WithMeterProvider: nil is not allowed`,
			[]fallback.Option{fallback.WithTelemetry(telemetry.WithMeterProvider(nil))},
		},
	} {
		_, err := fallback.New("f", c.opts...)
		require.EqualError(t, err, c.want)
		assert.Panics(t, func() { fallback.MustNew("f", c.opts...) })
	}
	for _, name := range []string{"", "  ", "\xff"} {
		_, err := fallback.New(name)
		assert.ErrorContains(t, err, "fallback: ")
	}
	for _, opts := range [][]fallback.Option{
		nil, {nil}, {handled}, {fallback.WithClassifier(resilience.Classify)},
	} {
		_, err := fallback.New("f", opts...)
		assert.NoError(t, err)
	}
}

func TestWhatCannotBeCalled(t *testing.T) {
	t.Parallel()
	f := fallback.MustNew("f", fallback.WithTelemetry(telemetry.Off()))
	one := func(context.Context) (int, error) { return 1, errPlain }
	for _, f := range []*fallback.Fallback{nil, f} {
		_, err := fallback.DoValue(t.Context(), f, nil, fallback.Value(2))
		assert.EqualError(t, err, "fallback: the operation is nil")
		_, err = fallback.Wrap(f, nil, fallback.Value(2))(t.Context())
		assert.EqualError(t, err, "fallback: the operation is nil")
		assert.Equal(t, resilience.ClassPermanent, resilience.Classify(err))
	}
	_, err := fallback.DoValue(t.Context(), f, one, nil)
	assert.EqualError(t, err, "fallback: the alternative is nil")
	assert.Equal(t, resilience.ClassPermanent, resilience.Classify(err))
	_, err = fallback.DoValue(nil, f, one, fallback.Value(2)) //nolint:staticcheck // that is the point
	assert.EqualError(t, err, "fallback: the context is nil")
	assert.Equal(t, resilience.ClassPermanent, resilience.Classify(err))

	value, err := fallback.DoValue(nil, nil, one, nil) //nolint:staticcheck // a nil *Fallback asks nothing
	assert.Equal(t, errPlain, err)
	assert.Equal(t, 1, value)
	assert.PanicsWithValue(t, "op", func() {
		_, _ = fallback.DoValue(t.Context(), nil, func(context.Context) (int, error) { panic("op") }, fallback.Value(2))
	})
}

func TestError(t *testing.T) {
	t.Parallel()
	err := error(&fallback.Error{Name: "rates", Err: errOther, Primary: errTransient})
	assert.EqualError(t, err, "rates: transient; the alternative failed too: the cache is cold")
	assert.Equal(t, resilience.ClassRetryable, resilience.Classify(err))
	err = &fallback.Error{Name: "rates", Err: errPermanent, Primary: errTransient}
	assert.Equal(t, resilience.ClassPermanent, resilience.Classify(err))
	err = &fallback.Error{Name: "rates", Err: errOther, Primary: errRefused}
	assert.Equal(t, resilience.ClassRefused, resilience.Classify(err))
	assert.EqualError(t, &fallback.Error{}, "fallback: <nil>; the alternative failed too: <nil>")
}

// What the user shows of errors is all that is shown, in the event as in the line, and is
// asked for once. A fallback that failed is an error, one that was used a warning.
func TestWhatIsShown(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		alternative error
		line, want  string
	}{
		{nil, `level=WARN msg="f: Fell back after shown"`, telemetry.EventFallbackUsed},
		{errOther, `level=ERROR msg="f: Fell back in vain: shown"`, telemetry.EventFallbackFailed},
	} {
		signals, asked := signaltest.New(), 0
		show := telemetry.WithErrorText(func(err error) string {
			asked++
			assert.ErrorIs(t, err, errPlain)
			if c.alternative != nil {
				assert.ErrorIs(t, err, c.alternative)
			}
			return "shown"
		})
		f := fallback.MustNew("f", fallback.WithTelemetry(append(signals.Options(), show)...))
		events := signals.Span(t.Context(), func(ctx context.Context) {
			_, _ = fallback.DoValue(ctx, f, func(context.Context) (int, error) { return 1, errPlain },
				func(context.Context, error) (int, error) { return 2, c.alternative })
		})
		assert.Equal(t, []string{c.want}, signaltest.Names(events))
		assert.Equal(t, "shown", events[0].Attributes[telemetry.AttrErrorMessage])
		lines := signals.Lines()
		require.Len(t, lines, 1)
		assert.Contains(t, lines[0], c.line)
		assert.Equal(t, 1, asked)
	}
}

func TestName(t *testing.T) {
	t.Parallel()
	var none *fallback.Fallback
	assert.Empty(t, none.Name())
	assert.Equal(t, "rates", fallback.MustNew("rates").Name())
}

// The zero value is a fallback without options.
func TestZeroValue(t *testing.T) {
	t.Parallel()
	var f fallback.Fallback
	failing := func(err error) func(context.Context) (int, error) {
		return func(context.Context) (int, error) { return 1, err }
	}
	value, err := fallback.DoValue(t.Context(), &f, failing(errPlain), fallback.Value(2))
	require.NoError(t, err)
	assert.Equal(t, 2, value)
	_, err = fallback.DoValue(t.Context(), &f, failing(errPermanent), fallback.Value(2))
	assert.Equal(t, errPermanent, err)
	_, err = fallback.DoValue(t.Context(), &f, failing(errPlain), func(context.Context, error) (int, error) { return 2, errOther })
	assert.EqualError(t, err, "fallback: plain; the alternative failed too: the cache is cold")
}

// Operation and alternative are given the argument of the call.
func TestWrap1(t *testing.T) {
	t.Parallel()
	f := fallback.MustNew("f", fallback.WithTelemetry(telemetry.Off()))
	op := func(_ context.Context, arg string) (string, error) {
		if arg == "bad" {
			return "", errPlain
		}
		return "op " + arg, nil
	}
	alternative := func(_ context.Context, arg string, err error) (string, error) {
		assert.Equal(t, errPlain, err)
		return "alternative " + arg, nil
	}
	get := fallback.Wrap1(f, op, alternative)
	for arg, want := range map[string]string{"good": "op good", "bad": "alternative bad"} {
		value, err := get(t.Context(), arg)
		require.NoError(t, err)
		assert.Equal(t, want, value)
	}
	_, err := fallback.Wrap1(f, nil, alternative)(t.Context(), "good")
	require.EqualError(t, err, "fallback: the operation is nil")
	_, err = fallback.Wrap1(f, op, nil)(t.Context(), "good")
	require.EqualError(t, err, "fallback: the alternative is nil")
	_, err = fallback.Wrap1(nil, op, nil)(t.Context(), "bad")
	assert.Equal(t, errPlain, err, "a nil *Fallback asks no alternative")
}

// A context that is done is handed on to the operation, which decides by itself.
func TestDeadContext(t *testing.T) {
	t.Parallel()
	f := fallback.MustNew("f", fallback.WithTelemetry(telemetry.Off()))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	value, err := fallback.DoValue(ctx, f, func(ctx context.Context) (int, error) { return 1, ctx.Err() }, fallback.Value(2))
	assert.Equal(t, 1, value)
	assert.Equal(t, context.Canceled, err)
}

// Calls that run at once each get what is theirs.
func TestConcurrency(t *testing.T) {
	t.Parallel()
	signals := signaltest.New()
	f := fallback.MustNew("f", fallback.WithTelemetry(signals.Metrics()...))
	const goroutines, each = 16, 200
	var group sync.WaitGroup
	for g := range goroutines {
		group.Go(func() {
			for i := range each {
				own := g*each + i
				call := fallback.Wrap(f,
					func(context.Context) (int, error) {
						if i%2 == 0 {
							return own, nil
						}
						return 0, fmt.Errorf("failure %d", own)
					},
					func(_ context.Context, err error) (int, error) {
						assert.EqualError(t, err, fmt.Sprintf("failure %d", own))
						return -own, nil
					})
				value, err := call(t.Context())
				assert.NoError(t, err)
				assert.Equal(t, own*(1-2*(i%2)), value)
			}
		})
	}
	group.Wait()
	assert.Equal(t, map[string]float64{
		telemetry.MetricFallbackCalls + " f primary":  goroutines * each / 2,
		telemetry.MetricFallbackCalls + " f fallback": goroutines * each / 2,
	}, signals.All(t))
}

func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	f := fallback.MustNew("f", fallback.WithTelemetry(signaltest.New().Metrics()...))
	ctx := t.Context()
	op := func(context.Context) (int, error) { return 1, nil }
	alternative := fallback.Value(2)
	assert.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = fallback.DoValue(ctx, f, op, alternative) }))
	failing := func(context.Context) (int, error) { return 1, errPermanent }
	assert.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = fallback.DoValue(ctx, f, failing, alternative) }))
	get := fallback.Wrap1(f, func(_ context.Context, n int) (int, error) { return n, nil },
		func(context.Context, int, error) (int, error) { return 2, nil })
	assert.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = get(ctx, 3) }))
}
