package telemetry

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/trace"
)

// An emitter sends the events of one policy to spans and logs, and writes its lines.
type emitter struct {
	name     string
	policy   attribute.KeyValue // or a budget
	settings *settings
	logger   log.Logger // nil without WithLogEvents
}

func newEmitter(s *settings) emitter {
	e := emitter{settings: s}
	if s.logEvents {
		e.logger = s.loggers().Logger(ScopeName, log.WithInstrumentationVersion(Version))
	}
	return e
}

// named returns the emitter of what bears that name by an attribute, which is not its own
// where there are too many names.
func (e *emitter) named(key attribute.Key, name string, own bool) emitter {
	n := *e
	n.name, n.policy = name, key.String(name)
	if !own {
		n.policy = key.String(Other)
	}
	return n
}

// recording returns the span that takes the events of a call under ctx, or nil.
func (e *emitter) recording(ctx context.Context) trace.Span {
	if e.settings.events == EventsNone {
		return nil
	}
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		return span
	}
	return nil
}

// logs reports whether events go to the log too.
func (e *emitter) logs() bool { return e.logger != nil && e.settings.events != EventsNone }

// emit sends an event to a span, which may be nil, and to the log.
func (e *emitter) emit(ctx context.Context, span trace.Span, name string, severity log.Severity, attributes ...attribute.KeyValue) {
	if span != nil {
		span.AddEvent(name, trace.WithAttributes(attributes...))
	}
	e.emitLog(ctx, name, severity, attributes)
}

func (e *emitter) emitLog(ctx context.Context, name string, severity log.Severity, attributes []attribute.KeyValue) {
	if !e.logs() || !e.logger.Enabled(ctx, log.EnabledParameters{Severity: severity, EventName: name}) {
		return
	}
	var record log.Record
	record.SetEventName(name)
	record.SetSeverity(severity)
	record.AddAttributes(attributes...)
	e.logger.Emit(ctx, record)
}

// writes reports whether a line of that level would be written.
func (e *emitter) writes(ctx context.Context, level slog.Level) bool {
	return e.settings.lines && e.settings.lineLogger().Enabled(ctx, level)
}

func (e *emitter) write(ctx context.Context, level slog.Level, message string, attributes ...slog.Attr) {
	attributes = append(attributes, slog.String(string(e.policy.Key), e.name))
	e.settings.lineLogger().LogAttrs(ctx, level, message, attributes...)
}

// show returns what may be shown of err. The user's function is called for it: one that
// panics must not fail a call.
func (e *emitter) show(err error, errorType string) (text string) {
	defer func() {
		if recover() != nil {
			text = cut(errorType)
		}
	}()
	return cut(e.settings.errorText(err))
}
