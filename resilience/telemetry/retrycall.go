package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// RetryCall watches one call of a retry policy. It is told of every attempt, every
// retry and the end of the call, once each. The zero RetryCall emits nothing. It is
// for use by one goroutine at a time.
type RetryCall struct {
	retry     *Retry
	ctx       context.Context // of the call, with its span
	recording trace.Span      // takes the events, nil if no span records
	span      trace.Span      // of the call, nil without WithSpans
	attempt   trace.Span      // of the attempt under way, nil without WithSpans
	max       int
	scheduled bool // a retry was announced
	timeline  []TroubledAttempt
}

// A Failure is an attempt that failed.
type Failure struct {
	Number    int // of the attempt, from 1
	Err       error
	ErrorType string
	// When the attempt began and ended, if [RetryCall.Records] asked for it. Began is zero
	// if it did not ask by then.
	Began, Ended time.Time

	text string // what may be shown of Err, made when it is needed
}

// A RetryEnd is the end of a call.
type RetryEnd struct {
	Outcome  Outcome
	Attempts int
	// Reason says why the policy stopped if the outcome leaves that open, or "".
	Reason string
	// Budget is the name of the budget that denied the retry, or "".
	Budget string
	// Nested: the attempt that failed had been retried by an inner policy, or the
	// call is itself part of a retry of an outer one.
	Nested bool
	// Duration of the call, if Timed: if [Retry.Times] asked for it at the start.
	Duration time.Duration
	Timed    bool
	// Latency is the time from the end of the first attempt to the end of the call.
	Latency time.Duration
	// Began is when the last attempt began, and Ended when the call ended, if
	// [RetryCall.Records] asked for it.
	Began, Ended time.Time
}

// AttemptStarted returns the context for the attempt of that number.
func (c *RetryCall) AttemptStarted(ctx context.Context, number int) context.Context {
	if c.span == nil {
		return ctx
	}
	ctx, c.attempt = c.retry.tracer.Start(ctx, c.retry.name+" attempt", trace.WithAttributes(
		c.retry.policy, AttrAttemptNumber.Int(number), AttrAttemptMax.Int(c.max)))
	return ctx
}

// AttemptSucceeded notes that the attempt of that number succeeded. It is counted at
// the end of the call.
func (c *RetryCall) AttemptSucceeded(number int) {
	if c.retry == nil {
		return
	}
	if c.attempt != nil {
		c.attempt.End()
		c.attempt = nil
	}
	if number > 1 || c.retry.settings.events == EventsAll {
		c.emitAttemptSucceeded(number)
	}
}

// AttemptFailed counts an attempt that failed.
func (c *RetryCall) AttemptFailed(f *Failure) {
	if c.retry == nil {
		return
	}
	c.retry.cells.failed(failureKey{true, attemptFailure, f.ErrorType})
	if c.attempt != nil {
		c.fail(c.attempt, f)
		c.attempt = nil
	}
	c.emitAttemptFailed(f)
}

// AttemptPanicked counts an attempt that panicked or left its goroutine.
func (c *RetryCall) AttemptPanicked(number int) {
	if c.retry == nil {
		return
	}
	c.retry.cells.failed(failureKey{true, attemptPanic, panicType})
	c.emitAttemptFailed(&Failure{Number: number, ErrorType: panicType, text: panicText})
	if c.attempt != nil {
		c.attempt.SetStatus(codes.Error, panicType)
		c.attempt.SetAttributes(AttrErrorType.String(panicType))
		c.attempt.End()
		c.attempt = nil
	}
}

// RetryScheduled notes that after f the call waits for delay and then tries again. The
// delay is a pushback if the callee asked for it.
func (c *RetryCall) RetryScheduled(f *Failure, delay time.Duration, pushback bool) {
	if c.retry == nil {
		return
	}
	c.scheduled = true
	c.note(f, delay, pushback)
	c.emitRetryScheduled(f, delay, pushback)
}

// RetrySent records the wait before a retry that is sent now.
func (c *RetryCall) RetrySent(delay time.Duration) {
	if c.retry == nil {
		return
	}
	c.retry.registry.delay.Record(c.ctx, delay.Seconds(), c.retry.cells.options.delay...)
	c.retry.cells.retries.Add(1)
}

// End counts the call and ends its span. The last failure is nil if the call succeeded
// or never failed. (It is no field of e, as then neither could stay on the stack.)
func (c *RetryCall) End(e *RetryEnd, last *Failure) {
	if c.retry == nil {
		return
	}
	cells, registry := c.retry.cells, c.retry.registry
	switch e.Outcome {
	case OutcomeSuccess:
		cells.succeededAtOnce()
	case OutcomeSuccessAfterRetry:
		cells.succeededLater()
	default:
		cells.failed(failureKey{false, e.Outcome.String(), e.errorType(last)})
	}
	if e.Attempts > 1 {
		registry.latency.Record(c.ctx, e.Latency.Seconds(), cells.options.byOutcome[e.Outcome]...)
		cells.retried.Add(1)
		cells.latency.Add(int64(e.Latency))
	}
	c.keep(e, last)
	if e.Timed && e.Attempts > 0 && (c.retry.settings.duration == DurationsAlways ||
		c.retry.settings.duration == DurationsRetried && e.Attempts > 1) {
		registry.duration.Record(c.ctx, e.Duration.Seconds(), cells.options.byOutcome[e.Outcome]...)
	}
	c.emitEnd(e, last)
	if c.span == nil {
		return
	}
	c.span.SetAttributes(AttrOutcome.String(e.Outcome.String()), AttrAttempts.Int(e.Attempts))
	if e.Reason != "" {
		c.span.SetAttributes(AttrRetryReason.String(e.Reason))
	}
	switch {
	case e.Outcome <= OutcomeSuccessAfterRetry:
		c.span.End()
	case last != nil:
		c.fail(c.span, last)
	default:
		c.span.SetAttributes(AttrErrorType.String(e.errorType(last)))
		c.span.SetStatus(codes.Error, e.Outcome.String())
		c.span.End()
	}
}

func (e *RetryEnd) errorType(last *Failure) string {
	switch {
	case e.Outcome == OutcomePanic:
		return panicType
	case last != nil:
		return last.ErrorType
	case e.Outcome == OutcomeCanceled || e.Reason == "canceled":
		return "canceled"
	case e.Outcome == OutcomeDeadline || e.Reason == "deadline":
		return "timeout"
	}
	return Other
}

// fail ends a span of ours with f.
func (c *RetryCall) fail(span trace.Span, f *Failure) {
	if span.IsRecording() {
		span.SetAttributes(AttrErrorType.String(f.ErrorType))
		span.SetStatus(codes.Error, c.show(f))
	}
	span.End()
}

// show returns what may be shown of the failure's error.
func (c *RetryCall) show(f *Failure) string {
	if f.text == "" {
		f.text = c.retry.show(f.Err, f.ErrorType)
	}
	return f.text
}
