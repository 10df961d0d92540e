package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retryhttp"
)

// record returns what makes otelhttp record to spans, and propagate both trace and baggage.
func record(t *testing.T) (spans *tracetest.SpanRecorder, opts []otelhttp.Option) {
	t.Helper()
	spans = tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	return spans, []otelhttp.Option{
		otelhttp.WithTracerProvider(provider),
		otelhttp.WithPropagators(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})),
	}
}

// A flaky server fails as often as it is told to.
type flaky struct {
	*httptest.Server
	failures atomic.Int64 // to come
	headers  chan http.Header
}

func newFlaky(t *testing.T, failures int64) *flaky {
	t.Helper()
	s := &flaky{headers: make(chan http.Header, 100)}
	s.failures.Store(failures)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.headers <- r.Header.Clone()
		if s.failures.Add(-1) >= 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		io.WriteString(w, "body") //nolint:errcheck // the test reads it
	}))
	t.Cleanup(s.Close)
	return s
}

// traceparents returns those of the requests so far.
func (s *flaky) traceparents() (all []string) {
	for range len(s.headers) {
		all = append(all, strings.Join((<-s.headers)["Traceparent"], " and "))
	}
	return all
}

// get makes one request, and returns the status of the answer, which it reads.
func get(t *testing.T, transport http.RoundTripper, url string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	require.NoError(t, err)
	answer, err := (&http.Client{Transport: transport}).Do(request)
	require.NoError(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	assert.Equal(t, "body", string(text))
	return answer.StatusCode
}

// attributeOf returns an attribute of a span, or nil.
func attributeOf(s sdktrace.ReadOnlySpan, key attribute.Key) any {
	for _, a := range s.Attributes() {
		if a.Key == key {
			return a.Value.AsInterface()
		}
	}
	return nil
}

// traceparentOf returns the header that makes spans the children of s.
func traceparentOf(s sdktrace.ReadOnlySpan) string {
	return "00-" + s.SpanContext().TraceID().String() + "-" + s.SpanContext().SpanID().String() + "-01"
}

func TestInside(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		failures int64
		statuses []any
	}{
		{0, []any{int64(200)}},
		{1, []any{int64(503), int64(200)}},
		{9, []any{int64(503), int64(503), int64(503)}},
	} {
		spans, opts := record(t)
		server := newFlaky(t, test.failures)
		transport, err := inside(server.Client().Transport, opts...)
		require.NoError(t, err)
		get(t, transport, server.URL)

		attempts := spans.Started()
		require.Len(t, attempts, len(test.statuses))
		assert.Len(t, spans.Ended(), len(test.statuses), "no span is left open")
		parents := server.traceparents()
		require.Len(t, parents, len(test.statuses))
		for i, s := range attempts {
			assert.Equal(t, trace.SpanKindClient, s.SpanKind())
			assert.Equal(t, test.statuses[i], attributeOf(s, "http.response.status_code"))
			assert.Equal(t, traceparentOf(attempts[i]), parents[i], "each attempt has a span of its own below")
			if i == 0 {
				assert.Nil(t, attributeOf(s, "http.request.resend_count"))
			} else {
				assert.Equal(t, int64(i), attributeOf(s, "http.request.resend_count"))
			}
		}
	}
}

func TestOutside(t *testing.T) {
	t.Parallel()
	spans, opts := record(t)
	server := newFlaky(t, 1)
	transport, err := outside(server.Client().Transport, opts...)
	require.NoError(t, err)
	assert.Equal(t, 200, get(t, transport, server.URL))

	require.Len(t, spans.Started(), 1)
	require.Len(t, spans.Ended(), 1)
	call := spans.Ended()[0]
	assert.Equal(t, trace.SpanKindClient, call.SpanKind())
	assert.Equal(t, int64(200), attributeOf(call, "http.response.status_code"))
	assert.Nil(t, attributeOf(call, "http.request.resend_count"))
	assert.Equal(t, []string{
		"resilience.attempt.failed", "resilience.retry.scheduled", "resilience.attempt.succeeded", "resilience.retry.succeeded",
	}, eventsOf(call))
	assert.Equal(t, []string{traceparentOf(call), traceparentOf(call)}, server.traceparents())
}

func eventsOf(s sdktrace.ReadOnlySpan) (names []string) {
	for _, e := range s.Events() {
		names = append(names, e.Name)
	}
	return names
}

func TestBoth(t *testing.T) {
	t.Parallel()
	spans, opts := record(t)
	server := newFlaky(t, 1)
	transport, err := both(server.Client().Transport, opts...)
	require.NoError(t, err)
	assert.Equal(t, 200, get(t, transport, server.URL))

	require.Len(t, spans.Ended(), 3)
	call, attempts := spans.Started()[0], spans.Started()[1:]
	assert.Contains(t, eventsOf(call), "resilience.attempt.failed")
	for i, s := range attempts {
		assert.Equal(t, call.SpanContext().SpanID(), s.Parent().SpanID())
		assert.Empty(t, eventsOf(s))
		assert.Equal(t, []any{nil, int64(1)}[i], attributeOf(s, "http.request.resend_count"))
	}
	assert.Equal(t, []string{traceparentOf(attempts[0]), traceparentOf(attempts[1])}, server.traceparents())
}

// A service in the middle that knows otelhttp and nothing of this toolkit carries on what the
// first one says, as the baggage, to the third one.
func TestBaggageCrossesServices(t *testing.T) {
	t.Parallel()
	_, opts := record(t)
	attempts := make(chan int, 10) // that the third one makes for each request
	third := httptest.NewServer(otelhttp.NewHandler(handler(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Empty(t, r.Header.Get("Previous-Attempts"), "nobody in the middle passes that on")
		assert.Equal(t, "acme", baggage.FromContext(r.Context()).Member("tenant").Value())
		policy, err := newPolicy()
		assert.NoError(t, err)
		made := 0
		err = policy.Do(r.Context(), func(context.Context) error { made++; return syscall.ECONNREFUSED })
		assert.ErrorIs(t, err, syscall.ECONNREFUSED)
		attempts <- made
		w.WriteHeader(http.StatusBadGateway)
	}), "third", opts...))
	t.Cleanup(third.Close)
	middle := httptest.NewServer(otelhttp.NewHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, third.URL, http.NoBody)
		assert.NoError(t, err)
		answer, err := otelhttp.NewTransport(third.Client().Transport, opts...).RoundTrip(request)
		if assert.NoError(t, err) {
			answer.Body.Close()
			w.WriteHeader(answer.StatusCode)
		}
	}), "middle", opts...))
	t.Cleanup(middle.Close)

	for _, form := range forms {
		transport, err := form.transport(middle.Client().Transport, opts...)
		require.NoError(t, err)
		tenant, err := baggage.NewMember("tenant", "acme")
		require.NoError(t, err)
		all, err := baggage.New(tenant)
		require.NoError(t, err)
		request, err := http.NewRequestWithContext(baggage.ContextWithBaggage(t.Context(), all), http.MethodGet, middle.URL, http.NoBody)
		require.NoError(t, err)
		answer, err := (&http.Client{Transport: transport}).Do(request)
		require.NoError(t, err)
		answer.Body.Close()
		made := []int{<-attempts, <-attempts, <-attempts}
		if form.name == forms[1].name {
			assert.Equal(t, []int{3, 3, 3}, made, "the baggage is on its way before there are attempts: otelhttp %s", form.name)
		} else {
			assert.Equal(t, []int{3, 1, 1}, made, "otelhttp %s", form.name)
		}
		assert.Empty(t, attempts)
	}
}

// handler returns next as one that hears what layers above say.
func handler(t *testing.T, next http.HandlerFunc) http.Handler {
	t.Helper()
	h, err := retryhttp.NewHandler(next)
	require.NoError(t, err)
	return h
}

// Of a service that was told by the layer above which attempt this is, the first attempt is
// no repetition of its own.
func TestResendCountIsThatOfTheClient(t *testing.T) {
	t.Parallel()
	spans, opts := record(t)
	server := newFlaky(t, 0)
	transport, err := inside(server.Client().Transport, opts...)
	require.NoError(t, err)
	ctx := resilience.WithAttempt(t.Context(), resilience.Attempt{Number: 3, Remote: true})
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, http.NoBody)
	require.NoError(t, err)
	answer, err := transport.RoundTrip(request)
	require.NoError(t, err)
	answer.Body.Close()
	require.Len(t, spans.Ended(), 1)
	assert.Nil(t, attributeOf(spans.Ended()[0], "http.request.resend_count"))
}

func TestMainPrintsThem(t *testing.T) {
	t.Parallel()
	spans, opts := record(t)
	require.NoError(t, callTwice(t.Context(), forms[2], opts...))
	var out strings.Builder
	printSpans(&out, spans.Ended(), trace.SpanID{}, "")
	assert.Equal(t, `client HTTP GET  http.response.status_code=200
    event resilience.attempt.failed
    event resilience.retry.scheduled
    event resilience.attempt.succeeded
    event resilience.retry.succeeded
    client HTTP GET  http.response.status_code=503
    client HTTP GET  http.request.resend_count=1  http.response.status_code=200
`, out.String())
}
