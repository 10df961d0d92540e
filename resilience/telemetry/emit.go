package telemetry

import (
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/trace"
)

// eventCache keeps the options of the events of successful attempts, by the number of
// the attempt, as those are emitted on the untroubled path.
type eventCache [4]atomic.Pointer[cachedEvent]

type cachedEvent struct {
	attributes []attribute.KeyValue
	options    []trace.EventOption
}

func (r *Retry) succeededEvent(number int) *cachedEvent {
	if number <= len(r.events) {
		if e := r.events[number-1].Load(); e != nil {
			return e
		}
	}
	e := &cachedEvent{attributes: []attribute.KeyValue{r.policy, AttrAttemptNumber.Int(number)}}
	e.options = []trace.EventOption{trace.WithAttributes(e.attributes...)}
	if number <= len(r.events) {
		r.events[number-1].Store(e)
	}
	return e
}

// listens reports whether an event would reach anybody.
func (c *RetryCall) listens() bool {
	return c.recording != nil || c.retry.logs()
}

// emit sends an event to the span and to the log.
func (c *RetryCall) emit(name string, severity log.Severity, attributes ...attribute.KeyValue) {
	c.retry.emit(c.ctx, c.recording, name, severity, attributes...)
}

func (c *RetryCall) emitAttemptSucceeded(number int) {
	if !c.listens() {
		return
	}
	e := c.retry.succeededEvent(number)
	if c.recording != nil {
		c.recording.AddEvent(EventAttemptSucceeded, e.options...)
	}
	c.retry.emitLog(c.ctx, EventAttemptSucceeded, log.SeverityInfo, e.attributes)
}

func (c *RetryCall) emitAttemptFailed(f *Failure) {
	if !c.listens() {
		return
	}
	c.emit(EventAttemptFailed, log.SeverityWarn,
		c.retry.policy,
		AttrAttemptNumber.Int(f.Number),
		AttrAttemptMax.Int(c.max),
		AttrErrorType.String(f.ErrorType),
		AttrErrorMessage.String(c.show(f)))
}

func (c *RetryCall) emitRetryScheduled(f *Failure, delay time.Duration, pushback bool) {
	if c.listens() {
		c.emit(EventRetryScheduled, log.SeverityInfo,
			c.retry.policy,
			AttrAttemptNumber.Int(f.Number+1),
			AttrRetryDelay.Float64(delay.Seconds()),
			AttrPushback.Bool(pushback))
	}
	if c.retry.writes(c.ctx, slog.LevelWarn) {
		c.retry.write(c.ctx, slog.LevelWarn, fmt.Sprintf("%s: Attempt %d/%d failed: %s. Retrying in %ss",
			c.retry.name, f.Number, c.max, c.show(f), seconds(delay)),
			slog.Int(string(AttrAttemptNumber), f.Number),
			slog.Int(string(AttrAttemptMax), c.max),
			slog.Float64(string(AttrRetryDelay), delay.Seconds()),
			slog.Bool(string(AttrPushback), pushback),
			slog.String(string(AttrErrorType), f.ErrorType),
			slog.String(string(AttrErrorMessage), c.show(f)))
	}
}

// seconds returns d in seconds, as in 1.23, with more digits for what is short.
func seconds(d time.Duration) string {
	digits := 2
	if d > 0 && d < 100*time.Millisecond {
		digits = 4
	}
	return strconv.FormatFloat(d.Seconds(), 'f', digits, 64)
}

func (c *RetryCall) emitEnd(e *RetryEnd, last *Failure) {
	switch e.Outcome {
	case OutcomeSuccess:
	case OutcomeSuccessAfterRetry:
		if c.listens() {
			c.emit(EventRetrySucceeded, log.SeverityInfo,
				c.retry.policy,
				AttrOutcome.String(e.Outcome.String()),
				AttrAttempts.Int(e.Attempts))
		}
		if c.retry.writes(c.ctx, slog.LevelInfo) {
			c.retry.write(c.ctx, slog.LevelInfo, fmt.Sprintf("%s: Succeeded on attempt %d", c.retry.name, e.Attempts),
				slog.Int(string(AttrAttempts), e.Attempts),
				slog.String(string(AttrOutcome), e.Outcome.String()))
		}
	default:
		c.emitFailedEnd(e, last)
	}
}

func (c *RetryCall) emitFailedEnd(e *RetryEnd, last *Failure) {
	c.emitStopped(e, last)
	level := c.level(e)
	if !c.retry.writes(c.ctx, level) {
		return
	}
	why := e.Reason
	if why == "" {
		why = e.Outcome.String()
	}
	message := fmt.Sprintf("%s: Stopped before the first attempt (%s)", c.retry.name, why)
	if e.Attempts > 0 {
		message = fmt.Sprintf("%s: Gave up after attempt %d/%d (%s)", c.retry.name, e.Attempts, c.max, why)
	}
	if last != nil {
		message += ": " + c.show(last)
	}
	c.retry.write(c.ctx, level, message, c.attributes(e, last)...)
}

// emitStopped sends the event of a call that failed.
func (c *RetryCall) emitStopped(e *RetryEnd, last *Failure) {
	if !c.listens() {
		return
	}
	name, severity := EventRetryStopped, log.SeverityWarn
	if e.Outcome == OutcomeExhausted {
		name, severity = EventRetryExhausted, log.SeverityError
	}
	attributes := []attribute.KeyValue{
		c.retry.policy,
		AttrOutcome.String(e.Outcome.String()),
		AttrAttempts.Int(e.Attempts),
		AttrErrorType.String(e.errorType(last)),
	}
	if e.Reason != "" {
		attributes = append(attributes, AttrRetryReason.String(e.Reason))
	}
	if e.Budget != "" {
		attributes = append(attributes, AttrBudgetName.String(e.Budget))
	}
	if e.Nested {
		attributes = append(attributes, AttrNested.Bool(true))
	}
	c.emit(name, severity, attributes...)
}

// attributes are those of the line for a call that failed.
func (c *RetryCall) attributes(e *RetryEnd, last *Failure) []slog.Attr {
	attributes := []slog.Attr{
		slog.Int(string(AttrAttempts), e.Attempts),
		slog.String(string(AttrOutcome), e.Outcome.String()),
		slog.String(string(AttrErrorType), e.errorType(last)),
	}
	if e.Reason != "" {
		attributes = append(attributes, slog.String(string(AttrRetryReason), e.Reason))
	}
	if e.Budget != "" {
		attributes = append(attributes, slog.String(string(AttrBudgetName), e.Budget))
	}
	if last != nil {
		attributes = append(attributes, slog.String(string(AttrErrorMessage), c.show(last)))
	}
	return attributes
}

// level returns how loud the line for a call that failed is.
func (c *RetryCall) level(e *RetryEnd) slog.Level {
	retried := c.scheduled // there are lines that this one concludes
	switch e.Outcome {
	case OutcomeExhausted, OutcomePanic:
		return slog.LevelError
	case OutcomeUnclassified:
		if !retried {
			return slog.LevelInfo // often a surprise, often an ordinary answer
		}
	case OutcomeRefused:
		if !retried && (e.Reason == "" || e.Reason == ReasonRemoteRetries) {
			return slog.LevelDebug // an open breaker refuses every call, and the layer above tells of its retries
		}
	case OutcomeNotRetryable, OutcomeCanceled, OutcomeNotStarted:
		if !retried {
			return slog.LevelDebug // it is the caller's to log
		}
	default:
	}
	return slog.LevelWarn
}
