package retry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/observable-go/toolkit/internal/ctxerr"
	"github.com/observable-go/toolkit/internal/signaltest"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// logger writes lines without their time to out.
func logger(out io.Writer, level slog.Level) telemetry.Option {
	return telemetry.WithLogger(slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	})))
}

func TestLogLines(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var out bytes.Buffer
		p := retry.MustNew("similarity_search", retry.WithTelemetry(logger(&out, slog.LevelInfo)),
			retry.WithJitter(backoff.NoJitter), retry.WithInitialDelay(1230*time.Millisecond))
		lines := func(ctx context.Context, errs ...error) []string {
			out.Reset()
			n := 0
			_ = p.Do(ctx, func(context.Context) error { n++; return errs[min(n, len(errs))-1] })
			return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		}
		refused := errors.New("connection refused")
		assert.Equal(t, []string{
			`level=WARN msg="similarity_search: Attempt 1/4 failed: connection refused. Retrying in 1.23s" resilience.attempt.number=1 resilience.attempt.max=4 resilience.retry.delay=1.23 resilience.retry.pushback=false error.type=_OTHER error.message="connection refused" resilience.policy.name=similarity_search`,
			`level=WARN msg="similarity_search: Attempt 2/4 failed: connection refused. Retrying in 2.46s" resilience.attempt.number=2 resilience.attempt.max=4 resilience.retry.delay=2.46 resilience.retry.pushback=false error.type=_OTHER error.message="connection refused" resilience.policy.name=similarity_search`,
			`level=INFO msg="similarity_search: Succeeded on attempt 3" resilience.attempts=3 resilience.outcome=success_after_retry resilience.policy.name=similarity_search`,
		}, lines(t.Context(), resilience.Retryable(refused), resilience.Retryable(refused), nil))
		all := lines(t.Context(), errTransient)
		assert.Equal(t, `level=ERROR msg="similarity_search: Gave up after attempt 4/4 (max_retries): transient" resilience.attempts=4 resilience.outcome=exhausted error.type=transient resilience.retry.reason=max_retries error.message=transient resilience.policy.name=similarity_search`, all[3])
		assert.Equal(t, []string{""}, lines(t.Context(), nil), "an untroubled call writes nothing")
		assert.Equal(t, []string{""}, lines(t.Context(), errPermanent), "nor does one that was not to be retried: it is the caller's to log")
		assert.Contains(t, lines(t.Context(), errPlain)[0], "level=INFO msg=\"similarity_search: Gave up after attempt 1/4 (unclassified): plain\"")
		assert.Contains(t, lines(t.Context(), errTransient, errPlain)[1], "level=WARN msg=\"similarity_search: Gave up after attempt 2/4 (unclassified): plain\"")
		assert.Equal(t, []string{""}, lines(t.Context(), resilience.Refused(errPlain)), "a refusal is its guard's to log")
		assert.Contains(t, lines(t.Context(), errTransient, resilience.Refused(errPlain))[1], "level=WARN msg=\"similarity_search: Gave up after attempt 2/4 (refused): plain\"")
		assert.Contains(t, lines(resilience.NoRetry(t.Context()), errTransient)[0], "(no_retry)")

		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		all = lines(ctx, errTransient)
		require.Len(t, all, 2, "a line that announced a retry is concluded")
		assert.Contains(t, all[1], `level=WARN msg="similarity_search: Gave up after attempt 1/4 (canceled): transient"`)

		quick := retry.MustNew("q", retry.WithTelemetry(logger(&out, slog.LevelInfo)), exact, retry.WithInitialDelay(4*time.Millisecond))
		out.Reset()
		_ = quick.Do(t.Context(), func(context.Context) error { return errTransient })
		assert.Contains(t, out.String(), "Retrying in 0.0040s")
	})
}

// Secrets of errors never reach telemetry.
func TestSecretsAreRedacted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSignals()
		var out bytes.Buffer
		p := retry.MustNew("p", retry.WithTelemetry(s.option(logger(&out, slog.LevelDebug), telemetry.WithSpans())...))
		err := resilience.Retryable(errors.New(`Get "https://user:hunter2@host/x?key=hunter2": EOF`))
		s.span(t.Context(), func(ctx context.Context) {
			_ = p.Do(ctx, func(context.Context) error { return err })
		})
		for _, span := range s.spans.Ended() {
			fmt.Fprintf(&out, "%+v %+v %+v", span.Attributes(), span.Events(), span.Status())
		}
		assert.Contains(t, out.String(), "https://***@host/x?***")
		assert.NotContains(t, out.String(), "hunter2")

		out.Reset()
		p = retry.MustNew("p", retry.WithTelemetry(logger(&out, slog.LevelDebug), telemetry.WithErrorText(func(error) string {
			return "hidden\n" + strings.Repeat("x", 1000)
		})))
		_ = p.Do(t.Context(), func(context.Context) error { return err })
		assert.Contains(t, out.String(), "hidden xxx")
		assert.NotContains(t, out.String(), strings.Repeat("x", 256))
	})
}

// A policy that is a package variable is made before main can set the default logger.
func TestDefaultLoggerOfTheMoment(t *testing.T) {
	p := retry.MustNew("early", retry.WithInitialDelay(0), retry.WithTelemetry(telemetry.WithLogger(nil)))
	var out bytes.Buffer
	before := slog.Default()
	defer slog.SetDefault(before)
	slog.SetDefault(slog.New(slog.NewJSONHandler(&out, nil)))
	_ = p.Do(t.Context(), func(context.Context) error { return errTransient })
	assert.Contains(t, out.String(), `"level":"ERROR","msg":"early: Gave up after attempt 4/4 (max_retries): transient"`)
}

func TestErrorTextThatPanics(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSignals()
		p := retry.MustNew("p", retry.WithTelemetry(s.option(telemetry.WithSpans(), telemetry.WithErrorText(func(error) string { panic("text") }))...))
		events := s.span(t.Context(), func(ctx context.Context) {
			assert.ErrorIs(t, p.Do(ctx, func(context.Context) error { return errTransient }), retry.ErrExhausted)
		})
		assert.Empty(t, events)
		assert.Len(t, s.spans.Ended(), len(s.spans.Started()))
		assert.Equal(t, "transient", s.spans.Ended()[0].Status().Description)
	})
}

// What was not started has the error type of what ended the context.
func TestErrorTypeOfWhatWasNotStarted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSignals()
		p := retry.MustNew("p", retry.WithTelemetry(s.option()...))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_ = p.Do(ctx, func(context.Context) error { return nil })
		ctx, cancel = context.WithTimeout(t.Context(), -1)
		defer cancel()
		_ = p.Do(ctx, func(context.Context) error { return nil })
		for _, kind := range []string{"canceled", "timeout"} {
			assert.EqualValues(t, 1, collect(t, s.reader).sum(telemetry.MetricRetryCalls,
				outcomeIs(telemetry.OutcomeNotStarted), telemetry.AttrErrorType.String(kind)))
		}
	})
}

func TestSpans(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSignals()
		p := retry.MustNew("search", retry.WithTelemetry(s.option(telemetry.WithSpans())...), exact)
		var inside []trace.SpanContext
		s.span(t.Context(), func(ctx context.Context) {
			_ = p.Do(ctx, func(ctx context.Context) error {
				inside = append(inside, trace.SpanContextFromContext(ctx))
				time.Sleep(time.Second)
				if len(inside) < 3 {
					return errTransient
				}
				return nil
			})
		})
		spans := s.spans.Ended()
		require.Len(t, spans, 5)
		caller, call, attempts := spans[4], spans[3], spans[:3]
		assert.Equal(t, "search", call.Name())
		assert.Equal(t, trace.SpanKindInternal, call.SpanKind())
		assert.Equal(t, caller.SpanContext().SpanID(), call.Parent().SpanID())
		assert.Equal(t, codes.Unset, call.Status().Code)
		assert.Equal(t, []string{
			"resilience.attempt.failed", "resilience.retry.scheduled", "resilience.attempt.failed", "resilience.retry.scheduled",
			"resilience.attempt.succeeded", "resilience.retry.succeeded",
		}, eventNames(call.Events()))
		assert.Empty(t, caller.Events())
		for i, a := range attempts {
			assert.Equal(t, "search attempt", a.Name())
			assert.Equal(t, call.SpanContext().SpanID(), a.Parent().SpanID())
			assert.Equal(t, inside[i].SpanID(), a.SpanContext().SpanID(), "the operation runs under the span of its attempt")
			assert.Equal(t, time.Second, a.EndTime().Sub(a.StartTime()))
		}
		assert.Equal(t, codes.Error, attempts[1].Status().Code)
		assert.Equal(t, "transient", attempts[1].Status().Description)
		assert.Equal(t, codes.Unset, attempts[2].Status().Code)
		assert.Equal(t, 2*time.Second, attempts[2].StartTime().Sub(attempts[1].EndTime()), "the wait")
	})
}

func TestEvents(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSignals()
		for name, tt := range map[string]struct {
			events              telemetry.Events
			untroubled, retried int
		}{
			"all":      {telemetry.EventsAll, 1, 4},
			"troubled": {telemetry.EventsTroubled, 0, 4},
			"none":     {telemetry.EventsNone, 0, 0},
		} {
			p := retry.MustNew("p", retry.WithTelemetry(s.option(telemetry.WithEvents(tt.events))...))
			do := func(fail int) func(ctx context.Context) {
				return func(ctx context.Context) {
					_ = p.Do(ctx, func(context.Context) error {
						if fail--; fail >= 0 {
							return errTransient
						}
						return nil
					})
				}
			}
			assert.Len(t, s.span(t.Context(), do(0)), tt.untroubled, name)
			assert.Len(t, s.span(t.Context(), do(1)), tt.retried, name)
		}
		events := s.span(t.Context(), func(ctx context.Context) {
			_ = retry.MustNew("p", exact, retry.WithTelemetry(s.option()...)).Do(ctx, func(context.Context) error { return errTransient })
		})
		assert.EqualValues(t, 2, attr(events[1], telemetry.AttrAttemptNumber).AsInt64(), "the number of the attempt that is to come")
		assert.InDelta(t, 1.0, attr(events[1], telemetry.AttrRetryDelay).AsFloat64(), 1e-9)
		last := events[len(events)-1]
		assert.Equal(t, telemetry.EventRetryExhausted, last.Name)
		assert.EqualValues(t, 4, attr(last, telemetry.AttrAttempts).AsInt64())
		assert.Equal(t, "transient", attr(last, telemetry.AttrErrorType).AsString())

		unsampled := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))
		ctx, span := unsampled.Tracer("t").Start(t.Context(), "x")
		assert.False(t, span.IsRecording())
		require.NoError(t, retry.MustNew("p", retry.WithTelemetry(s.option()...)).Do(ctx, func(context.Context) error { return nil }))
	})
}

// A trace tells a wait that the callee asked for from one of the policy's own.
func TestPushbackIsTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSignals()
		p := retry.MustNew("p", retry.WithTelemetry(s.option()...), retry.WithMaxRetries(1))
		for err, pushback := range map[error]bool{errTransient: false, resilience.RetryAfter(errPlain, time.Second): true} {
			events := s.span(t.Context(), func(ctx context.Context) {
				_ = p.Do(ctx, func(context.Context) error { return err })
			})
			assert.Equal(t, telemetry.EventRetryScheduled, events[1].Name)
			assert.Equal(t, pushback, attr(events[1], telemetry.AttrPushback).AsBool(), "%v", err)
		}
	})
}

// A nested retry is reported by the policy around it, and by the one inside a retry.
func TestNestedRetriesAreReported(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSignals()
		inner := retry.MustNew("inner", retry.WithTelemetry(s.option()...))
		outer := retry.MustNew("outer", retry.WithTelemetry(s.option()...))
		nested := func(events []sdktrace.Event, name, policy string) bool {
			for _, e := range events {
				if e.Name == name && attr(e, telemetry.AttrPolicyName).AsString() == policy {
					return attr(e, telemetry.AttrNested).AsBool()
				}
			}
			t.Errorf("no %s of %s in %v", name, policy, eventNames(events))
			return false
		}
		n := 0
		events := s.span(t.Context(), func(ctx context.Context) {
			_ = outer.Do(ctx, func(ctx context.Context) error {
				if n++; n == 1 {
					return errTransient
				}
				return inner.Do(ctx, func(context.Context) error { return errTransient })
			})
		})
		assert.True(t, nested(events, telemetry.EventRetryExhausted, "inner"))
		assert.True(t, nested(events, telemetry.EventRetryStopped, "outer"))
		assert.EqualValues(t, 1, collect(t, s.reader).sum(telemetry.MetricRetryCalls,
			telemetry.AttrPolicyName.String("outer"), outcomeIs(telemetry.OutcomeRefused)))

		events = s.span(t.Context(), func(ctx context.Context) {
			_ = outer.Do(ctx, func(context.Context) error { return errTransient })
		})
		assert.False(t, nested(events, telemetry.EventRetryExhausted, "outer"))
	})
}

// The duration of a call is recorded also if no span records it.
func TestCallDuration(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for name, tt := range map[string]struct {
			when                telemetry.Durations
			untroubled, retried int
		}{
			"always":  {telemetry.DurationsAlways, 1, 1},
			"retried": {telemetry.DurationsRetried, 0, 1},
			"never":   {telemetry.DurationsNever, 0, 0},
		} {
			s := newSignals()
			p := retry.MustNew("p", exact, retry.WithTelemetry(s.option(telemetry.WithCallDuration(tt.when))...))
			require.NoError(t, p.Do(t.Context(), func(context.Context) error { time.Sleep(time.Second); return nil }))
			count, seconds := collect(t, s.reader).recorded(telemetry.MetricCallDuration, outcomeIs(telemetry.OutcomeSuccess))
			assert.Equal(t, tt.untroubled, count, name)
			assert.Equal(t, time.Duration(tt.untroubled)*time.Second, seconds, name)

			n := 0
			require.NoError(t, p.Do(t.Context(), func(context.Context) error {
				if n++; n == 1 {
					return errTransient
				}
				return nil
			}))
			count, seconds = collect(t, s.reader).recorded(telemetry.MetricCallDuration, outcomeIs(telemetry.OutcomeSuccessAfterRetry))
			assert.Equal(t, tt.retried, count, name)
			assert.Equal(t, time.Duration(tt.retried)*time.Second, seconds, name)
		}
	})
}

// Histograms carry the trace of a call as exemplar.
func TestExemplars(t *testing.T) {
	bubble(t, func(t *testing.T) {
		reader := sdkmetric.NewManualReader()
		s := newSignals()
		s.provider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader), sdkmetric.WithExemplarFilter(exemplar.TraceBasedFilter))
		p := retry.MustNew("p", retry.WithTelemetry(s.option()...))
		var id trace.TraceID
		s.span(t.Context(), func(ctx context.Context) {
			id = trace.SpanContextFromContext(ctx).TraceID()
			_ = p.Do(ctx, func(context.Context) error { return errTransient })
		})
		all := collect(t, reader)
		for _, name := range []string{telemetry.MetricRetryLatency, telemetry.MetricRetryDelay, telemetry.MetricCallDuration} {
			point := all[name].(metricdata.Histogram[float64]).DataPoints[0]
			require.NotEmpty(t, point.Exemplars, name)
			assert.Equal(t, id[:], point.Exemplars[0].TraceID, name)
		}
	})
}

func TestCardinalityIsBounded(t *testing.T) {
	t.Parallel()
	s := newSignals()
	for i := range telemetry.MaxNames + 500 {
		p := retry.MustNew(fmt.Sprint("policy ", i), retry.WithTelemetry(s.option()...))
		require.NoError(t, p.Do(t.Context(), func(context.Context) error { return nil }))
	}
	all := collect(t, s.reader)
	assert.EqualValues(t, telemetry.MaxNames+500, all.sum(telemetry.MetricRetryCalls))
	assert.EqualValues(t, 500, all.sum(telemetry.MetricRetryCalls, telemetry.AttrPolicyName.String(telemetry.Other)))

	s = newSignals()
	p := retry.MustNew("p", retry.WithTelemetry(s.option()...))
	for i := range 1000 {
		_ = p.Do(t.Context(), func(context.Context) error { return numbered(i) })
	}
	all = collect(t, s.reader)
	assert.EqualValues(t, 1000, all.sum(telemetry.MetricRetryCalls))
	assert.EqualValues(t, 1000-telemetry.MaxErrorTypes, all.sum(telemetry.MetricRetryAttempts, telemetry.AttrErrorType.String(telemetry.Other)))
}

type numbered int

func (n numbered) Error() string     { return fmt.Sprint(int(n)) }
func (n numbered) ErrorType() string { return fmt.Sprint("hostile ", int(n)) }

func TestInvalidTelemetryOptions(t *testing.T) {
	t.Parallel()
	for want, option := range map[string]telemetry.Option{
		"WithMeterProvider: nil is not allowed":  telemetry.WithMeterProvider(nil),
		"WithTracerProvider: nil is not allowed": telemetry.WithTracerProvider(nil),
		"WithLoggerProvider: nil is not allowed": telemetry.WithLoggerProvider(nil),
		"WithErrorText: nil is not allowed":      telemetry.WithErrorText(nil),
		"WithEvents: 9 is not allowed":           telemetry.WithEvents(9),
		"WithCallDuration: 9 is not allowed":     telemetry.WithCallDuration(9),
	} {
		_, err := retry.New("p", retry.WithTelemetry(option))
		require.ErrorContains(t, err, want)
	}
	_, err := retry.New("p", retry.WithTelemetry(nil))
	require.NoError(t, err)
}

// The allocations that are promised, also with the metrics of the SDK on.
func TestAllocations(t *testing.T) {
	s := newSignals()
	ctx := t.Context()
	for name, options := range map[string][]telemetry.Option{
		"off":     {telemetry.Off()},
		"default": nil,
		"SDK":     s.option(),
	} {
		p := retry.MustNew("p", retry.WithInitialDelay(0), retry.WithTelemetry(options...))
		waiting := retry.MustNew("p", retry.WithInitialDelay(1), exact, retry.WithTelemetry(options...))
		measure := func(p *retry.Policy, fails int) float64 {
			return testing.AllocsPerRun(2000, func() {
				left := fails
				_, _ = retry.DoValue(ctx, p, func(context.Context) (int, error) {
					if left--; left >= 0 {
						return 0, errTransient
					}
					return 1, nil
				})
			})
		}
		assert.Zero(t, measure(p, 0), "%s: success", name)
		if raceEnabled { // under the race detector pools drop what they are given
			continue
		}
		assert.Zero(t, measure(p, 1), "%s: a retry without delay", name)
		assert.LessOrEqual(t, measure(p, 9), 2.0, "%s: exhaustion", name)
		assert.LessOrEqual(t, measure(waiting, 1), 3.0, "%s: a retry through a timer: the timer and its channel", name)
		assert.LessOrEqual(t, measure(waiting, 9), 5.0, "%s: exhaustion through the same timer", name)
	}
}

// Retries within retries that no chain knows of are told once.
func TestWarnsOfNestedRetries(t *testing.T) {
	t.Parallel()
	signals := signaltest.New()
	outer := retry.MustNew("outer", retry.WithInitialDelay(0), retry.WithTelemetry(signals.Options()...))
	inner := retry.MustNew("inner", retry.WithInitialDelay(0), retry.WithTelemetry(signals.Options()...))
	nested := func() []string {
		return signaltest.Names(signals.Span(t.Context(), func(ctx context.Context) {
			calls := 0
			_ = outer.Do(ctx, func(ctx context.Context) error {
				if calls++; calls == 1 {
					return errTransient // the attempt that follows is marked
				}
				return inner.Do(ctx, func(context.Context) error { return errTransient })
			})
		}))
	}
	assert.Contains(t, nested(), telemetry.EventCompositionWarning)
	assert.Contains(t, signals.Lines()[1], `inner: The composition of policies is wrong (nested_retries): retry \"inner\" was about to retry within attempt 2 of \"outer\"`)
	assert.NotContains(t, nested(), telemetry.EventCompositionWarning)
	assert.Equal(t, map[string]float64{"nested_retries inner": 1, "nested_retries outer": 1},
		signals.Metric(t, telemetry.MetricCompositionWarnings), "both ends notice it")
}

// The outer policy notices retries within its first attempt too, which carries no mark.
func TestWarnsOfNestedRetriesInAFirstAttempt(t *testing.T) {
	t.Parallel()
	signals := signaltest.New()
	inner := retry.MustNew("inner", retry.WithInitialDelay(0), retry.WithTelemetry(telemetry.Off()))
	for range 2 {
		outer := retry.MustNew("outer", retry.WithTelemetry(signals.Options()...))
		for range 2 {
			_ = outer.Do(t.Context(), func(ctx context.Context) error {
				return inner.Do(ctx, func(context.Context) error { return errTransient })
			})
		}
	}
	assert.Equal(t, map[string]float64{"nested_retries outer": 2}, signals.Metric(t, telemetry.MetricCompositionWarnings), "once a policy")
	assert.Contains(t, signals.Lines()[0], `an attempt of retry \"outer\" had been made 4 times by retry \"inner\"`)

	once := retry.MustNew("once", retry.WithMaxRetries(0), retry.WithTelemetry(signals.Options()...))
	_ = once.Do(t.Context(), func(ctx context.Context) error {
		return inner.Do(ctx, func(context.Context) error { return errTransient })
	})
	assert.NotContains(t, signals.Metric(t, telemetry.MetricCompositionWarnings), "nested_retries once", "it retries nothing")
}

// An attempt that times out in a queue is retryable, and was not sent all the same.
func TestRetryThatTimesOutInAQueueIsRefunded(t *testing.T) {
	t.Parallel()
	expired, cancel := context.WithTimeout(t.Context(), -1)
	defer cancel()
	b, learns := &fakeBudget{left: 9}, &learner{}
	_ = retry.MustNew("p", retry.WithBackoff(learns), retry.WithBudget(b)).Do(t.Context(), func(context.Context) error {
		return ctxerr.NotSent(expired, "b", "before the call's turn")
	})
	assert.Equal(t, 3, b.granted)
	assert.Equal(t, 3, b.refunded)
	assert.Empty(t, learns.heard, "nor does it say anything of the callee")
}

// To a Poll that is not done nothing failed.
func TestPollIsNoFailureOfTheCallee(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := retry.MustNew("p", retry.WithMaxElapsed(time.Second))
		_, err := retry.Poll(t.Context(), p, func(context.Context) (int, bool, error) { return 0, false, nil })
		require.ErrorIs(t, err, retry.ErrNotDone)
		_, asked := resilience.CalleeError(err)
		assert.False(t, asked)
	})
}

// A retry that a guard further in rejected was not sent: the budget gets it back.
func TestRejectedRetryIsRefunded(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		second error
		want   int
	}{
		"rejected by a guard":     {resilience.Refused(errPlain), 1},
		"left a queue":            {nil, 1},
		"sent, and given up":      {&retry.Error{Attempts: 2, Last: errPlain}, 0},
		"sent, and not retryable": {resilience.Permanent(errPlain), 0},
	} {
		b := &fakeBudget{left: 5}
		calls := 0
		ctx, cancel := context.WithCancel(t.Context())
		_ = retry.MustNew("p", retry.WithInitialDelay(0), retry.WithBudget(b)).Do(ctx, func(ctx context.Context) error {
			if calls++; calls == 1 {
				return errTransient
			}
			if tt.second == nil { // as a bulkhead does
				cancel()
				return ctxerr.NotSent(ctx, "b", "before the call's turn")
			}
			return tt.second
		})
		cancel()
		assert.Equal(t, 1, b.granted, name)
		assert.Equal(t, tt.want, b.refunded, name)
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	assert.Equal(t, resilience.Description{
		Kind: "retry", Name: "p", Repeats: true, AttemptTimeout: time.Second, FirstDelay: 5 * time.Second,
	}, retry.MustNew("p", retry.WithInitialDelay(10*time.Second), retry.WithAttemptTimeout(time.Second)).Describe())
	assert.False(t, retry.MustNew("p", retry.WithMaxRetries(0)).Describe().Repeats)
	var none *retry.Policy
	assert.Equal(t, resilience.Description{Kind: "retry"}, none.Describe())
	none.Warn(t.Context(), resilience.Problem{})
}
