package telemetry

import (
	"errors"
	"fmt"
	"log/slog"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// An Option changes what a policy or a budget emits. The defaults are metrics to the
// global meter provider and events on the span of the caller's context.
type Option func(*settings) error

type settings struct {
	off            bool
	meterProvider  metric.MeterProvider
	tracerProvider trace.TracerProvider
	loggerProvider log.LoggerProvider
	spans          bool
	logEvents      bool
	lines          bool
	logger         *slog.Logger // of the lines; nil is the default one of the moment
	events         Events
	duration       Durations
	errorText      func(error) string
}

func apply(opts []Option) (*settings, error) {
	s := &settings{errorText: ErrorText}
	for _, opt := range opts {
		if opt == nil {
			continue
		}
		if err := opt(s); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Off emits nothing at all.
func Off() Option {
	return func(s *settings) error { s.off = true; return nil }
}

// WithMeterProvider sends metrics to p in place of the global meter provider.
func WithMeterProvider(p metric.MeterProvider) Option {
	return func(s *settings) error {
		s.meterProvider = p
		return notNil("WithMeterProvider", p != nil)
	}
}

// WithTracerProvider takes the spans of [WithSpans] from p in place of the global
// tracer provider.
func WithTracerProvider(p trace.TracerProvider) Option {
	return func(s *settings) error {
		s.tracerProvider = p
		return notNil("WithTracerProvider", p != nil)
	}
}

// WithSpans makes a span for each call and below it one for each attempt. Events go
// to the span of the call then.
func WithSpans() Option {
	return func(s *settings) error { s.spans = true; return nil }
}

// WithLogEvents emits each event also as an event of the OpenTelemetry Logs API, to
// the global logger provider.
func WithLogEvents() Option {
	return func(s *settings) error { s.logEvents = true; return nil }
}

// WithLoggerProvider is [WithLogEvents] to p.
func WithLoggerProvider(p log.LoggerProvider) Option {
	return func(s *settings) error {
		s.loggerProvider, s.logEvents = p, true
		return notNil("WithLoggerProvider", p != nil)
	}
}

// WithLogger writes a line for each retry, for each success after a retry and for
// each call that the policy gave up. What failed at once and was not to be retried is
// at level INFO or DEBUG:
//
//	similarity_search: Attempt 1/4 failed: connection refused. Retrying in 1.23s
//	similarity_search: Succeeded on attempt 3
//
// Lines carry the context of the call, so a handler that reads the span from it ties
// them to the trace.
//
// If l is nil each line goes to the slog.Default() of that moment. Use that for policies
// that are package variables: they are made before main can call slog.SetDefault.
func WithLogger(l *slog.Logger) Option {
	return func(s *settings) error { s.lines, s.logger = true, l; return nil }
}

func (s *settings) lineLogger() *slog.Logger {
	if s.logger != nil {
		return s.logger
	}
	return slog.Default()
}

// Events says which calls leave events on spans and in logs.
type Events uint8

const (
	// EventsAll is an event for every attempt of every call. It is the default.
	EventsAll Events = iota
	// EventsTroubled leaves out calls that succeed at the first attempt.
	EventsTroubled
	// EventsNone is no events at all.
	EventsNone
)

// WithEvents says which calls leave events.
func WithEvents(e Events) Option {
	return func(s *settings) error {
		s.events = e
		if e > EventsNone {
			return fmt.Errorf("telemetry: WithEvents: %d is not allowed: want EventsAll, EventsTroubled or EventsNone", e)
		}
		return nil
	}
}

// Durations says which calls are recorded in resilience.call.duration.
type Durations uint8

const (
	// DurationsAlways is those of all calls. It is the default.
	DurationsAlways Durations = iota
	// DurationsRetried is those of calls that were retried.
	DurationsRetried
	// DurationsNever is those of none.
	DurationsNever
)

// WithCallDuration says which calls are recorded in resilience.call.duration. A call
// reads no clock for it while no meter provider listens.
func WithCallDuration(d Durations) Option {
	return func(s *settings) error {
		s.duration = d
		if d > DurationsNever {
			return fmt.Errorf("telemetry: WithCallDuration: %d is not allowed: want DurationsAlways, DurationsRetried or DurationsNever", d)
		}
		return nil
	}
}

// WithErrorText replaces [ErrorText]: text returns what may be shown of an error in
// spans and logs. What it returns is cut to [MaxMessage] bytes. Metrics never carry
// the text of an error.
func WithErrorText(text func(error) string) Option {
	return func(s *settings) error {
		s.errorText = text
		return notNil("WithErrorText", text != nil)
	}
}

var errNil = errors.New("nil is not allowed")

func notNil(option string, ok bool) error {
	if ok {
		return nil
	}
	return fmt.Errorf("telemetry: %s: %w", option, errNil)
}

// The providers that were given, or the global ones of the moment.

func (s *settings) meters() metric.MeterProvider {
	if s.meterProvider != nil {
		return s.meterProvider
	}
	return otel.GetMeterProvider()
}

func (s *settings) tracers() trace.TracerProvider {
	if s.tracerProvider != nil {
		return s.tracerProvider
	}
	return otel.GetTracerProvider()
}

func (s *settings) loggers() log.LoggerProvider {
	if s.loggerProvider != nil {
		return s.loggerProvider
	}
	return otel.GetLoggerProvider()
}
