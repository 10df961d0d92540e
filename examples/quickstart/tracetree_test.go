package main

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/observable-go/toolkit/resilience/telemetry"
)

// A call that is made up: its attempts fail with the given error types, "" for none.
// Each takes 100 ms and is followed by a wait of 300 ms.
func fakeSpans(id byte, policy string, outcome telemetry.Outcome, errorTypes ...string) []sdktrace.ReadOnlySpan {
	began := time.Unix(1000, 0)
	context := func(span byte) trace.SpanContext {
		return trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{id}, SpanID: trace.SpanID{span}})
	}
	name := telemetry.AttrPolicyName.String(policy)
	var stubs tracetest.SpanStubs
	var events []sdktrace.Event
	for i, errorType := range errorTypes {
		number := telemetry.AttrAttemptNumber.Int(i + 1)
		start := began.Add(time.Duration(i) * 400 * time.Millisecond)
		end := start.Add(100 * time.Millisecond)
		stub := tracetest.SpanStub{
			Name: policy + " attempt", SpanContext: context(byte(i + 2)), Parent: context(1),
			StartTime: start, EndTime: end,
			Attributes: []attribute.KeyValue{name, number, telemetry.AttrAttemptMax.Int(4)},
		}
		event := sdktrace.Event{Name: telemetry.EventAttemptSucceeded, Time: end, Attributes: []attribute.KeyValue{number}}
		if errorType != "" {
			stub.Attributes = append(stub.Attributes, telemetry.AttrErrorType.String(errorType))
			stub.Status = sdktrace.Status{Code: codes.Error, Description: "what went wrong"}
			event.Name = telemetry.EventAttemptFailed
			event.Attributes = append(event.Attributes, telemetry.AttrErrorType.String(errorType))
		}
		events = append(events, event)
		if i < len(errorTypes)-1 {
			events = append(events, sdktrace.Event{
				Name: telemetry.EventRetryScheduled, Time: end,
				Attributes: []attribute.KeyValue{
					telemetry.AttrAttemptNumber.Int(i + 2), telemetry.AttrRetryDelay.Float64(0.3),
				},
			})
		}
		stubs = append(stubs, stub)
	}
	stubs = append(stubs, tracetest.SpanStub{
		Name: policy, SpanContext: context(1), StartTime: began, EndTime: stubs[len(stubs)-1].EndTime,
		Events: events,
		Attributes: []attribute.KeyValue{
			name, telemetry.AttrOutcome.String(outcome.String()), telemetry.AttrAttempts.Int(len(errorTypes)),
		},
	})
	return stubs.Snapshots()
}

func keep(t *testing.T, k *traceKeeper, spans []sdktrace.ReadOnlySpan) {
	t.Helper()
	for i := range spans { // one by one, as a processor exports them
		require.NoError(t, k.ExportSpans(t.Context(), spans[i:i+1]))
	}
}

func TestWriteTree(t *testing.T) {
	k := newTraceKeeper("search")
	keep(t, k, fakeSpans(0xab, "search", telemetry.OutcomeSuccessAfterRetry, "503", "connection_reset", ""))
	var got strings.Builder
	writeTree(&got, k.kept())
	assert.Equal(t, `  search: success_after_retry, 3 attempts in 900.0 ms
  trace ab000000000000000000000000000000
  ├─ attempt 1/4    0.0 ms  ███                       100.0 ms  failed: 503
  │    what went wrong
  ├╴ wait         100.0 ms     ┄┄┄┄┄┄┄┄               300.0 ms
  ├─ attempt 2/4  400.0 ms             ██             100.0 ms  failed: connection_reset
  │    what went wrong
  ├╴ wait         500.0 ms               ┄┄┄┄┄┄┄┄     300.0 ms
  └─ attempt 3/4  800.0 ms                       ███  100.0 ms  succeeded

  events of the call span
   100.0 ms  resilience.attempt.failed     attempt 1, 503
   100.0 ms  resilience.retry.scheduled    attempt 2, in 300.0 ms
   500.0 ms  resilience.attempt.failed     attempt 2, connection_reset
   500.0 ms  resilience.retry.scheduled    attempt 3, in 300.0 ms
   900.0 ms  resilience.attempt.succeeded  attempt 3
`, got.String())
}

func TestTraceKeeper(t *testing.T) {
	k := newTraceKeeper("search")
	assert.Nil(t, k.kept())

	keep(t, k, fakeSpans(1, "search", telemetry.OutcomeSuccess, ""))
	assert.Nil(t, k.kept(), "not retried")
	keep(t, k, fakeSpans(2, "other", telemetry.OutcomeSuccessAfterRetry, "503", ""))
	assert.Nil(t, k.kept(), "of another policy")

	for i, test := range []struct {
		outcome    telemetry.Outcome
		errorTypes []string
		better     bool
	}{
		{telemetry.OutcomeBudgetExhausted, []string{"503", "503"}, true},
		{telemetry.OutcomeSuccessAfterRetry, []string{"503", ""}, true},
		{telemetry.OutcomeSuccessAfterRetry, []string{"timeout", ""}, false},
		{telemetry.OutcomeBudgetExhausted, []string{"503", "timeout"}, true},
		{telemetry.OutcomeExhausted, []string{"503", "503", "timeout", "reset"}, true},
		{telemetry.OutcomeSuccessAfterRetry, []string{"503", "timeout", ""}, true},
		{telemetry.OutcomeSuccessAfterRetry, []string{"timeout", "503", ""}, false},
	} {
		before := k.kept()
		keep(t, k, fakeSpans(byte(3+i), "search", test.outcome, test.errorTypes...))
		assert.Equal(t, test.better, k.kept() != before, "%v %q", test.outcome, test.errorTypes)
	}
	assert.Empty(t, k.attempts, "of calls that have ended")
}

func TestBar(t *testing.T) {
	for _, test := range []struct{ offset, d, whole time.Duration }{
		{0, 0, 0}, {0, 0, 100}, {0, 100, 100}, {99, 1, 100}, {100, 0, 100}, {100, 100, 100}, {-5, 3, 100},
	} {
		b := bar("#", test.offset, test.d, test.whole)
		assert.Len(t, b, barWidth, "%v", test)
		assert.Contains(t, b, "#", "%v", test)
	}
}

func TestCutTo(t *testing.T) {
	assert.Equal(t, "short", cutTo("short", 5))
	cut := cutTo("who did it: and what went wrong: ünd wärüm", 20)
	assert.Equal(t, 20, utf8.RuneCountInString(cut))
	assert.True(t, strings.HasPrefix(cut, "who did"), cut)
	assert.True(t, strings.HasSuffix(cut, "wärüm"), cut)
}
