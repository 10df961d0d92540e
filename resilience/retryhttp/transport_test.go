package retryhttp_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/breaker"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/retryhttp"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

func TestRetriesUntilSuccess(t *testing.T) {
	t.Parallel()
	server := serve(t, status(503), hangUp, ok)
	answer, err := server.client(t, policyOf(t)).Get(server.URL)
	require.NoError(t, err)
	assert.Equal(t, 200, answer.StatusCode)
	assert.Equal(t, "hello", read(t, answer))
	assert.Len(t, server.got(), 3)
}

// When the attempts run out the caller gets what it would get without a policy.
func TestLastAnswerIsTheCallers(t *testing.T) {
	t.Parallel()
	server := serve(t, status(502), status(500), status(503, "Trailer-To-Come", "x"))
	answer, err := server.client(t, policyOf(t)).Get(server.URL + "/path")
	require.NoError(t, err)
	assert.Equal(t, 503, answer.StatusCode)
	assert.Equal(t, "Service Unavailable", read(t, answer))
	assert.Equal(t, "x", answer.Header.Get("Trailer-To-Come"))
	assert.Equal(t, "/path", answer.Request.URL.Path)
	assert.NoError(t, answer.Request.Context().Err())
	assert.Len(t, server.got(), 3)
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	repeated := map[int]bool{408: true, 425: true, 429: true, 500: true, 502: true, 503: true, 504: true}
	for code := 200; code < 600; code++ {
		if http.StatusText(code) == "" && code != 599 {
			continue
		}
		server := serve(t, status(code))
		transport := server.client(t, policyOf(t)).Transport // without redirects
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
		require.NoError(t, err)
		answer, err := transport.RoundTrip(request)
		require.NoError(t, err, code)
		answer.Body.Close()
		assert.Equal(t, code, answer.StatusCode)
		want := 1
		if repeated[code] {
			want = 3
		}
		assert.Len(t, server.got(), want, "attempts for %d", code)
	}
}

func TestWithStatuses(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]int{404: 3, 503: 1, 429: 1} {
		server := serve(t, status(code))
		answer, err := server.client(t, policyOf(t), retryhttp.WithStatuses(404)).Get(server.URL)
		require.NoError(t, err)
		assert.Equal(t, http.StatusText(code), read(t, answer))
		assert.Len(t, server.got(), want, code)
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	for method, want := range map[string]int{
		"": 3, "GET": 3, "HEAD": 3, "OPTIONS": 3, "TRACE": 3, "PUT": 3, "DELETE": 3,
		"POST": 1, "PATCH": 1, "CONNECT-TO": 1, "get": 1,
	} {
		for name, fault := range map[string]http.HandlerFunc{"status": status(503), "hang up": hangUp} {
			server := serve(t, fault)
			request, err := http.NewRequestWithContext(t.Context(), method, server.URL, http.NoBody)
			require.NoError(t, err)
			answer, err := server.client(t, policyOf(t)).Do(request)
			if err == nil {
				answer.Body.Close()
				assert.Equal(t, 503, answer.StatusCode)
			}
			assert.Equal(t, name == "hang up", err != nil)
			assert.Len(t, server.got(), want, "%s, %s", method, name)
		}
	}
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]http.Header{
		"standard": {"Idempotency-Key": {"a"}},
		"common":   {"X-Idempotency-Key": {"a"}},
		"not sent": {"Idempotency-Key": {}},
	} {
		server := serve(t, status(503), ok)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, strings.NewReader("body"))
		require.NoError(t, err)
		request.Header = header
		answer, err := server.client(t, policyOf(t)).Do(request)
		require.NoError(t, err, name)
		assert.Equal(t, "hello", read(t, answer), name)
		for _, r := range server.got() {
			assert.Equal(t, "body", r.body, name)
			assert.ElementsMatch(t, header["Idempotency-Key"], r.header["Idempotency-Key"], name)
		}
	}
}

func TestWithRepeatable(t *testing.T) {
	t.Parallel()
	server := serve(t, status(503), ok)
	client := server.client(t, policyOf(t), retryhttp.WithRepeatable(func(r *http.Request) bool { return r.URL.Path == "/search" }))
	answer, err := client.Post(server.URL+"/search", "text/plain", strings.NewReader("query"))
	require.NoError(t, err)
	assert.Equal(t, "hello", read(t, answer))
	assert.Len(t, server.got(), 2)
}

// A request that never left may be repeated whatever its method.
func TestPostWithoutConnection(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed := "http://" + listener.Addr().String()
	require.NoError(t, listener.Close())
	retries := 0
	policy := policyOf(t, retry.WithOnRetry(func(context.Context, retry.Retry) { retries++ }))

	client := &http.Client{Transport: retryhttp.MustNew(policy)}
	_, err = client.Post(closed, "text/plain", strings.NewReader("order")) //nolint:bodyclose // there is none
	gaveUp, isError := errors.AsType[*retry.Error](err)
	require.True(t, isError, "%v", err)
	assert.Equal(t, 3, gaveUp.Attempts)

	// A transport that tells of no connections may have sent it.
	retries = 0
	client.Transport = retryhttp.MustNew(policy, retryhttp.WithBase(roundTripper(func(*http.Request) (*http.Response, error) {
		return nil, &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	})))
	_, err = client.Post(closed, "text/plain", strings.NewReader("order")) //nolint:bodyclose // there is none
	require.Error(t, err)
	assert.Zero(t, retries)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// What is wrong with the request or the certificate is not met twice, also where everything
// unknown is retried.
func TestPermanentFailures(t *testing.T) {
	t.Parallel()
	secure := httptest.NewUnstartedServer(http.HandlerFunc(ok))
	secure.Config.ErrorLog = discardLog
	secure.StartTLS()
	t.Cleanup(secure.Close)
	plain := serve(t, ok)
	requestTo := func(target string) *http.Request {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, http.NoBody)
		require.NoError(t, err)
		return r
	}
	tests := map[string]struct {
		request *http.Request
		want    string
		base    *http.Transport
	}{
		"unknown authority": {request: requestTo(secure.URL), want: "certificate signed by unknown authority"},
		"wrong name": {
			request: requestTo(secure.URL), want: "not other.example",
			base: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: rootsOf(secure), ServerName: "other.example"}},
		},
		"no TLS":             {request: requestTo("https" + strings.TrimPrefix(plain.URL, "http")), want: "HTTP response to HTTPS client"},
		"unsupported scheme": {request: requestTo("gopher://127.0.0.1/"), want: "unsupported protocol scheme"},
		"no host":            {request: requestTo("http:///path"), want: "no Host"},
		"header name": {request: func() *http.Request {
			r := requestTo(plain.URL)
			r.Header["Bad Name"] = []string{"x"}
			return r
		}(), want: "invalid header field name"},
		"header value": {request: func() *http.Request {
			r := requestTo(plain.URL)
			r.Header.Set("Name", "a\nb")
			return r
		}(), want: "invalid header field value"},
		"body length": {request: func() *http.Request {
			r := requestTo(plain.URL)
			r.Method, r.Body, r.ContentLength = "PUT", io.NopCloser(strings.NewReader("short")), 10
			return r
		}(), want: "ContentLength=10 with Body length 5"},
		"length of no body": {request: func() *http.Request {
			r := requestTo(plain.URL)
			r.Method, r.Body, r.ContentLength = "PUT", nil, 10
			return r
		}(), want: "ContentLength=10 with nil Body"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			retries := 0
			policy := policyOf(t, retry.WithUnknown(resilience.ClassRetryable),
				retry.WithOnRetry(func(context.Context, retry.Retry) { retries++ }))
			base := test.base
			if base == nil {
				base = &http.Transport{}
			}
			defer base.CloseIdleConnections()
			client := &http.Client{Transport: retryhttp.MustNew(policy, retryhttp.WithBase(base))}
			_, err := client.Do(test.request) //nolint:bodyclose // there is none
			require.ErrorContains(t, err, test.want)
			assert.Zero(t, retries)
		})
	}
}

// Redirects are followed by the client, outside of the policy: each request of theirs is a call.
func TestRedirectLoop(t *testing.T) {
	t.Parallel()
	server := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) })
	answer, err := server.client(t, policyOf(t, retry.WithUnknown(resilience.ClassRetryable))).Get(server.URL)
	require.ErrorContains(t, err, "stopped after 10 redirects")
	answer.Body.Close()
	assert.Len(t, server.got(), 10)
}

// A caller sees the error of the last attempt with and without a policy.
func TestErrorsAreThoseOfTheTransport(t *testing.T) {
	t.Parallel()
	mine := errors.New("mine")
	base := roundTripper(func(*http.Request) (*http.Response, error) { return nil, mine })
	for name, policy := range map[string]resilience.Policy{"none": nil, "retry": policyOf(t)} {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1/", strings.NewReader("x"))
		_, err := retryhttp.MustNew(policy, retryhttp.WithBase(base)).RoundTrip(request) //nolint:bodyclose // there is none
		assert.Same(t, mine, err, name)
	}
}

func TestTimeoutIsSeen(t *testing.T) {
	t.Parallel()
	server := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	client := server.client(t, policyOf(t, retry.WithAttemptTimeout(time.Millisecond)))
	_, err := client.Get(server.URL) //nolint:bodyclose // there is none
	failed, isURLError := errors.AsType[*url.Error](err)
	require.True(t, isURLError)
	assert.True(t, failed.Timeout(), "%v", err)
}

// The timeout of an attempt does not reach what is handed out.
func TestBodyOutlivesAttemptTimeout(t *testing.T) {
	t.Parallel()
	more := make(chan struct{})
	for _, code := range []int{200, 503, 404} {
		server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			io.WriteString(w, "first,") //nolint:errcheck // the test reads it
			assert.NoError(t, http.NewResponseController(w).Flush())
			<-more
			io.WriteString(w, "second") //nolint:errcheck // the test reads it
		})
		client := server.client(t, policyOf(t, retry.WithMaxRetries(0), retry.WithAttemptTimeout(time.Hour)))
		answer, err := client.Get(server.URL)
		require.NoError(t, err)
		begun := make([]byte, 6)
		_, err = io.ReadFull(answer.Body, begun)
		require.NoError(t, err)
		more <- struct{}{} // the attempt is over, and its context cancelled
		assert.Equal(t, "first,second", string(begun)+read(t, answer), code)
	}
}

// To a breaker a failed request is a failure, also one that must not be repeated.
func TestBreakerSeesFailures(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		method string
		fault  http.HandlerFunc
		want   breaker.State
	}{
		"repeatable":      {"GET", status(503), breaker.Open},
		"not repeatable":  {"POST", status(503), breaker.Open},
		"hang up":         {"POST", hangUp, breaker.Open},
		"given up":        {"GET", status(503, "X-Should-Retry", "false"), breaker.Open},
		"not implemented": {"GET", status(501), breaker.Closed},
		"not found":       {"GET", status(404), breaker.Closed},
	} {
		b := breaker.MustNew("server", breaker.WithConsecutiveFailures(1), breaker.WithTelemetry(telemetry.Off()))
		server := serve(t, test.fault)
		request, err := http.NewRequestWithContext(t.Context(), test.method, server.URL, http.NoBody)
		require.NoError(t, err)
		answer, err := server.client(t, b).Do(request)
		if err == nil {
			answer.Body.Close()
		}
		assert.Equal(t, test.want, b.State(), name)
	}
}

func TestRefusalOfAPolicyIsAnError(t *testing.T) {
	t.Parallel()
	refused := errors.New("the gate is closed")
	gate := resilience.PolicyFunc(func(context.Context, resilience.Operation) error { return resilience.Refused(refused) })
	closed := make(chan struct{})
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1/", &closeWatcher{closed: closed})
	_, err := retryhttp.MustNew(gate).RoundTrip(request) //nolint:bodyclose // there is none
	require.ErrorIs(t, err, refused)
	<-closed // the body of the request
}

type closeWatcher struct{ closed chan struct{} }

func (*closeWatcher) Read([]byte) (int, error) { return 0, io.EOF }
func (w *closeWatcher) Close() error           { close(w.closed); return nil }

// A policy that breaks its promises gets an error and no nil answer.
func TestLazyPolicy(t *testing.T) {
	t.Parallel()
	lazy := resilience.PolicyFunc(func(context.Context, resilience.Operation) error { return nil })
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1/", http.NoBody)
	_, err := retryhttp.MustNew(lazy).RoundTrip(request) //nolint:bodyclose // there is none
	require.ErrorContains(t, err, "neither sent the request nor returned an error")

	swallowing := resilience.PolicyFunc(func(ctx context.Context, op resilience.Operation) error { _ = op(ctx); return nil })
	broken := errors.New("broken")
	base := roundTripper(func(*http.Request) (*http.Response, error) { return nil, broken })
	_, err = retryhttp.MustNew(swallowing, retryhttp.WithBase(base)).RoundTrip(request) //nolint:bodyclose // there is none
	require.ErrorIs(t, err, broken)

	nothing := roundTripper(func(*http.Request) (*http.Response, error) { return nil, nil }) //nolint:nilnil // which is what must not be handed on
	_, err = retryhttp.MustNew(nil, retryhttp.WithBase(nothing)).RoundTrip(request)          //nolint:bodyclose // there is none
	require.ErrorContains(t, err, "neither an answer nor an error")
}

func TestCanceledWhileWaiting(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	server := serve(t, func(w http.ResponseWriter, r *http.Request) { status(503, "Retry-After", "30")(w, r); cancel() })
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, http.NoBody)
	require.NoError(t, err)
	_, err = server.client(t, policyOf(t)).Do(request) //nolint:bodyclose // there is none
	require.ErrorIs(t, err, context.Canceled)
}

func TestBadOptions(t *testing.T) {
	t.Parallel()
	for want, opt := range map[string]retryhttp.Option{
		"retryhttp: base: nil is not allowed: want a RoundTripper":   retryhttp.WithBase(nil),
		"retryhttp: statuses: 200 is not allowed: want 400 to 599":   retryhttp.WithStatuses(503, 200),
		"retryhttp: repeatable: nil is not allowed: want a function": retryhttp.WithRepeatable(nil),
		"retryhttp: buffer_limit: -1 is not allowed: want 0 or more": retryhttp.WithBufferLimit(-1),
	} {
		_, err := retryhttp.New(nil, nil, opt)
		require.EqualError(t, err, want)
		assert.Panics(t, func() { retryhttp.MustNew(nil, opt) })
	}
}
