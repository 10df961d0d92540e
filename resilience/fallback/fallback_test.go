package fallback_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"

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

// A way is a call that goes a certain way. The operation returns 1, the alternative 2.
type way struct {
	name        string
	opt         fallback.Option
	err         error // of the operation
	alternative error // of the alternative
	cancel      bool  // the caller cancels while op runs
	deadline    bool  // the caller's deadline passes while op runs

	asked  bool // the alternative
	value  int
	want   error // that DoValue returns; an *Error if alternative is set
	result string
	event  string
	shown  string // error.type of the event
}

func ways() []way {
	all := fallback.WithHandled(func(error) bool { return true })
	none := fallback.WithHandled(func(error) bool { return false })
	permanent := fallback.WithClassifier(func(err error) resilience.Class {
		if errors.Is(err, errPlain) {
			return resilience.ClassPermanent
		}
		return resilience.ClassUnknown
	})
	used, failed := telemetry.EventFallbackUsed, telemetry.EventFallbackFailed
	other := resilience.OtherErrorType
	return []way{
		{name: "success", value: 1, result: "primary"},
		{name: "unknown", err: errPlain, asked: true, value: 2, result: "fallback", event: used, shown: other},
		{name: "retryable", err: errTransient, asked: true, value: 2, result: "fallback", event: used, shown: other},
		{name: "refused", err: errRefused, asked: true, value: 2, result: "fallback", event: used, shown: other},
		{name: "known", err: io.ErrUnexpectedEOF, asked: true, value: 2, result: "fallback", event: used, shown: "unexpected_eof"},
		{name: "typed", err: &url.Error{Op: "Get", Err: errPlain}, asked: true, value: 2, result: "fallback", event: used, shown: "*url.Error"},
		{name: "permanent", err: errPermanent, value: 1, want: errPermanent, result: "passed"},
		{name: "permanent by a classifier", opt: permanent, err: errPlain, value: 1, want: errPlain, result: "passed"},
		{name: "not by that", opt: permanent, err: errTransient, asked: true, value: 2, result: "fallback", event: used, shown: other},
		{name: "handled", opt: all, err: errPermanent, asked: true, value: 2, result: "fallback", event: used, shown: other},
		{name: "not handled", opt: none, err: errTransient, value: 1, want: errTransient, result: "passed"},
		{name: "canceled", cancel: true, err: errTransient, value: 1, want: errTransient, result: "passed"},
		{name: "canceled though handled", cancel: true, opt: all, err: errTransient, value: 1, want: errTransient, result: "passed"},
		{name: "canceled and yet a success", cancel: true, value: 1, result: "primary"},
		{
			name: "deadline", deadline: true, err: context.DeadlineExceeded,
			asked: true, value: 2, result: "fallback", event: used, shown: "timeout",
		},
		{
			name: "a cancellation further in", opt: all, err: context.Canceled,
			asked: true, value: 2, result: "fallback", event: used, shown: "canceled",
		},
		{
			name: "the alternative fails", err: errTransient, alternative: errOther,
			asked: true, value: 2, result: "failed", event: failed, shown: other,
		},
		{
			name: "the alternative times out", err: errRefused, alternative: context.DeadlineExceeded,
			asked: true, value: 2, result: "failed", event: failed, shown: "timeout",
		},
		{name: "panic", err: errPanic, result: "panic"},
		{name: "Goexit", err: errExit, result: "panic"},
		{name: "the alternative panics", err: errTransient, alternative: errPanic, asked: true, result: "panic"},
		{name: "the alternative leaves", err: errTransient, alternative: errExit, asked: true, result: "panic"},
	}
}

// end ends an operation or an alternative as the error says.
func end(value int, err error) (int, error) {
	switch err {
	case errPanic:
		panic("text")
	case errExit:
		runtime.Goexit()
	}
	return value, err
}

// Every way that a call can go: what is returned, what the alternative is given, and what
// telemetry shows.
func TestWays(t *testing.T) {
	t.Parallel()
	for _, w := range ways() {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				signals := signaltest.New()
				f := fallback.MustNew("f", fallback.WithTelemetry(signals.Metrics()...), w.opt)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				asked, returned := false, false
				var panicked any
				var value int
				var err error
				events := signals.Span(ctx, func(ctx context.Context) {
					done := make(chan struct{})
					go func() { // as a Goexit leaves its goroutine
						defer close(done)
						defer func() { panicked = recover() }()
						value, err = fallback.DoValue(ctx, f, func(got context.Context) (int, error) {
							assert.Equal(t, ctx, got)
							if w.cancel {
								cancel()
							}
							if w.deadline {
								time.Sleep(2 * time.Second)
							}
							return end(1, w.err)
						}, func(got context.Context, err error) (int, error) {
							asked = true
							assert.Equal(t, ctx, got)
							assert.Equal(t, w.err, err)
							return end(2, w.alternative)
						})
						returned = true
					}()
					<-done
				})
				assert.Equal(t, w.asked, asked)
				assert.Equal(t, w.value, value)
				assert.Equal(t, w.result != "panic", returned)
				assert.Equal(t, w.err == errPanic || w.alternative == errPanic, panicked == "text")
				var e *fallback.Error
				if w.result == "failed" && assert.ErrorAs(t, err, &e) {
					assert.Equal(t, &fallback.Error{Name: "f", Err: w.alternative, Primary: w.err}, e)
					assert.ErrorIs(t, err, w.err)
					assert.ErrorIs(t, err, w.alternative)
				} else {
					assert.Equal(t, w.want, err)
				}
				assert.Equal(t, map[string]float64{telemetry.MetricFallbackCalls + " f " + w.result: 1}, signals.All(t))
				if w.event == "" {
					assert.Empty(t, events)
					return
				}
				hidden := w.err
				if w.alternative != nil {
					hidden = w.alternative
				}
				assert.Equal(t, []signaltest.Event{{Name: w.event, Attributes: map[attribute.Key]any{
					telemetry.AttrPolicyName: "f", telemetry.AttrPolicyKind: "fallback",
					telemetry.AttrErrorType: w.shown, telemetry.AttrErrorMessage: hidden.Error(),
				}}}, events)
			})
		})
	}
}

func TestError(t *testing.T) {
	t.Parallel()
	err := error(&fallback.Error{Name: "rates", Err: errOther, Primary: errTransient})
	assert.EqualError(t, err, `fallback: "rates": transient; the alternative failed too: the cache is cold`)
	assert.Equal(t, resilience.ClassRetryable, resilience.Classify(err))
	err = &fallback.Error{Name: "rates", Err: errPermanent, Primary: errTransient}
	assert.Equal(t, resilience.ClassPermanent, resilience.Classify(err))
	err = &fallback.Error{Name: "rates", Err: errOther, Primary: errRefused}
	assert.Equal(t, resilience.ClassRefused, resilience.Classify(err))
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
}
