package main

import (
	"context"
	"strconv"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/observable-go/toolkit/resilience/telemetry"
)

// A callTrace is the spans of one call.
type callTrace struct {
	call     sdktrace.ReadOnlySpan
	attempts []sdktrace.ReadOnlySpan // in their order
}

// A traceKeeper is a span exporter that keeps one trace: that of the call of a policy
// that shows most of what retries are like.
type traceKeeper struct {
	policy string

	mu       sync.Mutex
	attempts map[trace.TraceID][]sdktrace.ReadOnlySpan // of calls under way
	best     *callTrace
}

func newTraceKeeper(policy string) *traceKeeper {
	return &traceKeeper{policy: policy, attempts: make(map[trace.TraceID][]sdktrace.ReadOnlySpan)}
}

// ExportSpans implements [sdktrace.SpanExporter]. Attempts end, and are exported,
// before their call.
func (k *traceKeeper) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, span := range spans {
		if stringOf(span.Attributes(), telemetry.AttrPolicyName) != k.policy {
			continue
		}
		id := span.SpanContext().TraceID()
		if span.Parent().IsValid() {
			k.attempts[id] = append(k.attempts[id], span)
			continue
		}
		t := &callTrace{span, k.attempts[id]}
		delete(k.attempts, id)
		if t.interest() > k.best.interest() {
			k.best = t
		}
	}
	return nil
}

// Shutdown implements [sdktrace.SpanExporter].
func (k *traceKeeper) Shutdown(context.Context) error { return nil }

// kept returns the trace, or nil if no call was retried.
func (k *traceKeeper) kept() *callTrace {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.best
}

// interest says how much there is to see: different errors, a status code among them,
// and a good end, the better the more attempts it took. It is 0 for a call that was not
// retried.
func (t *callTrace) interest() int {
	if t == nil || len(t.attempts) < 2 {
		return 0
	}
	interest := len(t.attempts)
	seen := make(map[string]bool)
	for _, a := range t.attempts {
		errorType := stringOf(a.Attributes(), telemetry.AttrErrorType)
		if errorType == "" || seen[errorType] {
			continue
		}
		seen[errorType] = true
		interest += 10
		if _, err := strconv.Atoi(errorType); err == nil {
			interest += 5
		}
	}
	if t.outcome() == telemetry.OutcomeSuccessAfterRetry.String() {
		interest += 8 * (len(t.attempts) - 1)
	}
	return interest
}

func (t *callTrace) outcome() string {
	return stringOf(t.call.Attributes(), telemetry.AttrOutcome)
}

// valueOf returns the value of an attribute; it is invalid if there is none.
func valueOf(attributes []attribute.KeyValue, key attribute.Key) attribute.Value {
	for _, a := range attributes {
		if a.Key == key {
			return a.Value
		}
	}
	return attribute.Value{}
}

func stringOf(attributes []attribute.KeyValue, key attribute.Key) string {
	return valueOf(attributes, key).AsString()
}
