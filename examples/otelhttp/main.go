// Otelhttp shows the spans of one request that is repeated, with otelhttp around the attempts,
// around the call, and both:
//
//	go run ./examples/otelhttp
//
// transport.go is the code to take home.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

func main() {
	for _, form := range forms {
		recorder := tracetest.NewSpanRecorder()
		provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
		if err := callTwice(context.Background(), form, otelhttp.WithTracerProvider(provider)); err != nil {
			fmt.Fprintln(os.Stderr, "otelhttp:", err)
			os.Exit(1)
		}
		fmt.Fprintf(os.Stdout, "otelhttp %s\n\n", form.name)
		printSpans(os.Stdout, recorder.Ended(), trace.SpanID{}, "    ")
		fmt.Fprintln(os.Stdout)
	}
}

// callTwice makes one request of a server that fails at first.
func callTwice(ctx context.Context, form form, opts ...otelhttp.Option) error {
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if requests.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	transport, err := form.transport(http.DefaultTransport, opts...)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: transport}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, http.NoBody)
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	return answer.Body.Close() // which ends the span
}

// printSpans writes the spans below parent, and with each its events and the spans below it.
func printSpans(w io.Writer, spans []sdktrace.ReadOnlySpan, parent trace.SpanID, indent string) {
	for _, s := range spans {
		if s.Parent().SpanID() != parent {
			continue
		}
		fmt.Fprintf(w, "%s%s %s", indent, s.SpanKind(), s.Name())
		for _, a := range s.Attributes() {
			if a.Key == "http.response.status_code" || a.Key == "http.request.resend_count" {
				fmt.Fprintf(w, "  %s=%s", a.Key, a.Value.String())
			}
		}
		fmt.Fprintln(w)
		for _, e := range s.Events() {
			fmt.Fprintf(w, "%s    event %s\n", indent, e.Name)
		}
		printSpans(w, spans, s.SpanContext().SpanID(), indent+"    ")
	}
}
