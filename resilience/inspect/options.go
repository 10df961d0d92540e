package inspect

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"go.opentelemetry.io/otel/metric"
)

// An Option changes a setting of a new inspector.
type Option func(*settings) error

type settings struct {
	title    string
	traceURL string
	provider metric.MeterProvider
}

// WithTitle sets the title of the page: 1 to 128 bytes, such as the name of the service. By
// default it is the name of the program.
func WithTitle(title string) Option {
	return func(s *settings) error {
		s.title = title
		if title == "" || len(title) > maxTitle {
			return fmt.Errorf("title: %q is not allowed: want 1 to %d bytes", shorten(title), maxTitle)
		}
		return nil
	}
}

const maxTitle = 128

// WithTraceURL makes links of trace ids. The template is an http or https URL in which
// {trace_id} stands for the id, and {span_id} for that of the span, both as in
// W3C Trace Context: 32 and 16 hexadecimal digits. That of Jaeger on its own machine is
// "http://localhost:16686/trace/{trace_id}".
func WithTraceURL(template string) Option {
	return func(s *settings) error {
		s.traceURL = template
		filled := strings.NewReplacer("{trace_id}", "0", "{span_id}", "0").Replace(template)
		u, err := url.Parse(filled)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil ||
			!strings.Contains(template, "{trace_id}") {
			return fmt.Errorf("trace_url: %q is not allowed: want an http or https URL with {trace_id} in it and without a password",
				shorten(template))
		}
		return nil
	}
}

// WithMeterProvider shows only what emits its metrics to p: where several services live in
// one process, each can have a page of its own. By default everything is shown.
func WithMeterProvider(p metric.MeterProvider) Option {
	return func(s *settings) error {
		s.provider = p
		if p == nil {
			return errNoMeterProvider
		}
		return nil
	}
}

var errNoMeterProvider = errors.New("meter_provider: nil is not allowed: want a meter provider")

func shorten(text string) string { return text[:min(len(text), maxTitle)] }
