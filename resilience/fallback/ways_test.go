package fallback_test

import (
	"context"
	"errors"
	"io"
	"net/url"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/otel/attribute"

	"github.com/observable-go/toolkit/internal/signaltest"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/fallback"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// A way is a call that goes a certain way. The operation returns 1, the alternative 2.
type way struct {
	name        string
	opt         fallback.Option
	err         error // of the operation
	alternative error // of the alternative
	cancel      bool  // the caller cancels while op runs
	late        bool  // it cancels while the alternative runs
	deadline    bool  // the caller's deadline passes while op runs

	asked  bool // the alternative
	value  int
	want   error // that DoValue returns
	both   bool  // it returns an *Error
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
			asked: true, value: 2, both: true, result: "failed", event: failed, shown: other,
		},
		{
			name: "the alternative times out", err: errRefused, alternative: context.DeadlineExceeded,
			asked: true, value: 2, both: true, result: "failed", event: failed, shown: "timeout",
		},
		{
			name: "canceled during the alternative", late: true, err: errTransient, alternative: context.Canceled,
			asked: true, value: 2, both: true, result: "passed",
		},
		{
			name: "canceled during the alternative, which succeeds", late: true, err: errTransient,
			asked: true, value: 2, result: "fallback", event: used, shown: other,
		},
		{
			name: "canceled further in of the alternative", err: errTransient, alternative: context.Canceled,
			asked: true, value: 2, both: true, result: "failed", event: failed, shown: "canceled",
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
							if w.late {
								cancel()
							}
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
				if w.both && assert.ErrorAs(t, err, &e) {
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
				text := w.err.Error()
				if w.both {
					text += "; the alternative failed too: " + w.alternative.Error()
				}
				assert.Equal(t, []signaltest.Event{{Name: w.event, Attributes: map[attribute.Key]any{
					telemetry.AttrPolicyName: "f", telemetry.AttrPolicyKind: "fallback",
					telemetry.AttrErrorType: w.shown, telemetry.AttrErrorMessage: text,
				}}}, events)
			})
		})
	}
}
