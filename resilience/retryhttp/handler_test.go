package retryhttp_test

import (
	"context"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retryhttp"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// handle returns a handler that serves by next.
func handle(t *testing.T, next http.HandlerFunc, opts ...retryhttp.HandlerOption) http.Handler {
	t.Helper()
	h, err := retryhttp.NewHandler(next, opts...)
	require.NoError(t, err)
	return h
}

// A reply is what a handler answered.
type reply struct {
	code   int
	header http.Header
	body   string
}

// served returns what h answers to a request with these headers.
func served(t *testing.T, h http.Handler, header http.Header) reply {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
	request.Header = header
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, request)
	return reply{recorder.Code, recorder.Result().Header, recorder.Body.String()}
}

func down(context.Context) error { return syscall.ECONNREFUSED }

// A repeated request is served without retries, whoever says that it is one. Whatever else a
// request says changes nothing.
func TestRepeatedRequestsAreServedWithoutRetries(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		header  http.Header
		baggage int
		want    int // attempts before, as the operation sees them
	}{
		"nothing":             {},
		"ours":                {header: http.Header{"Previous-Attempts": {"1"}}, want: 1},
		"gRPC":                {header: http.Header{"Grpc-Previous-Rpc-Attempts": {"2"}}, want: 2},
		"AWS":                 {header: http.Header{"Amz-Sdk-Request": {"attempt=3; max=3"}}, want: 2},
		"Envoy":               {header: http.Header{"X-Envoy-Attempt-Count": {"2"}}, want: 1},
		"baggage":             {baggage: 4, want: 4},
		"baggage and header":  {header: http.Header{"Previous-Attempts": {"2"}}, baggage: 1, want: 2},
		"AWS, first":          {header: http.Header{"Amz-Sdk-Request": {"attempt=1; max=3"}}},
		"Envoy, first":        {header: http.Header{"X-Envoy-Attempt-Count": {"1"}}},
		"zero":                {header: http.Header{"Previous-Attempts": {"0"}}},
		"negative":            {header: http.Header{"Previous-Attempts": {"-3"}}},
		"the smallest number": {header: http.Header{"X-Envoy-Attempt-Count": {"-9223372036854775808"}}},
		"not a number":        {header: http.Header{"Previous-Attempts": {"0x10"}}},
		"empty":               {header: http.Header{"Previous-Attempts": {""}}},
		"no values":           {header: http.Header{"Previous-Attempts": {}}},
		"a list":              {header: http.Header{"Previous-Attempts": {"1, 2"}}},
		"long":                {header: http.Header{"Previous-Attempts": {strings.Repeat("9", 1<<20)}}},
		"bytes":               {header: http.Header{"Previous-Attempts": {"\x00\xff"}}},
		"large":               {header: http.Header{"Previous-Attempts": {"65535"}}, want: 99},
		"many":                {header: http.Header{"Previous-Attempts": strings.Split(strings.Repeat("7,", 1000)+"8", ",")}, want: 8},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for own, opts := range map[bool][]retryhttp.HandlerOption{
				false: {nil}, // which is skipped
				true:  {retryhttp.WithOwnRetries()},
			} {
				attempts, previous := 0, 0
				h := handle(t, func(_ http.ResponseWriter, r *http.Request) {
					if a := resilience.AttemptFrom(r.Context()); a != nil {
						assert.True(t, a.Remote)
						previous = a.Number - 1
					}
					_ = policyOf(t).Do(r.Context(), func(context.Context) error { attempts++; return syscall.ECONNREFUSED })
				}, opts...)
				if test.baggage > 0 {
					h = withBaggage(h, test.baggage)
				}
				served(t, h, test.header)
				want := 3
				if test.want > 0 && !own {
					want = 1
				}
				assert.Equal(t, want, attempts, "attempts with own retries: %v", own)
				assert.Equal(t, test.want, previous)
			}
		})
	}
}

// withBaggage serves by h under a baggage, as a handler does that extracts one.
func withBaggage(h http.Handler, previous int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(telemetry.WithPreviousAttempts(r.Context(), previous)))
	})
}

// The number of attempts reaches the third service through the second, which makes none of
// its own.
func TestPreviousAttemptsTravelOn(t *testing.T) {
	t.Parallel()
	third := serve(t, ok)
	second := httptest.NewServer(handle(t, forwardTo(t, third)))
	t.Cleanup(second.Close)
	for _, claimed := range []string{"", "3"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, second.URL, http.NoBody)
		require.NoError(t, err)
		if claimed != "" {
			request.Header["previous-attempts"] = []string{claimed} // which the server puts into canonical form
		}
		answer, err := second.Client().Do(request)
		require.NoError(t, err)
		answer.Body.Close()
	}
	got := third.got()
	require.Len(t, got, 2)
	assert.Empty(t, got[0].header.Get("Previous-Attempts"))
	assert.Equal(t, "3", got[1].header.Get("Previous-Attempts"))
}

// forwardTo returns a handler that answers with the status of the server below, after retries.
func forwardTo(t *testing.T, below *scriptedServer) http.HandlerFunc {
	t.Helper()
	client := below.client(t, policyOf(t))
	return func(w http.ResponseWriter, r *http.Request) {
		request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, below.URL, http.NoBody)
		if !assert.NoError(t, err) {
			return
		}
		answer, err := client.Do(request)
		if !assert.NoError(t, err) {
			return
		}
		answer.Body.Close()
		w.WriteHeader(answer.StatusCode)
	}
}

// Three services, each of which makes three attempts, over one that is down.
func TestLayersDoNotMultiply(t *testing.T) {
	t.Parallel()
	for want, opts := range map[int][]retryhttp.HandlerOption{
		27: {retryhttp.WithOwnRetries(), retryhttp.WithoutShouldRetry()},
		7:  {retryhttp.WithoutShouldRetry()},
		3:  nil,
	} {
		t.Run(strconv.Itoa(want), func(t *testing.T) {
			t.Parallel()
			leaf := serve(t, status(503))
			below := leaf
			for range 2 {
				below = serve(t, handle(t, forwardTo(t, below), opts...).ServeHTTP)
			}
			getBy(t, below.client(t, policyOf(t)), below.URL).Body.Close()
			assert.Len(t, leaf.got(), want)
		})
	}
}

func TestBadHandlers(t *testing.T) {
	t.Parallel()
	_, err := retryhttp.NewHandler(nil)
	require.EqualError(t, err, "retryhttp: next: nil is not allowed: want a handler")
	assert.Panics(t, func() { retryhttp.MustNewHandler(nil) })
	assert.NotNil(t, retryhttp.MustNewHandler(http.NotFoundHandler()))
	_, err = retryhttp.NewHandler(http.NotFoundHandler(), nil, retryhttp.WithGuard(nil))
	require.EqualError(t, err, "retryhttp: guard: nil is not allowed: want a policy")
}

// What a handler panics with is the server's, which knows http.ErrAbortHandler.
func TestPanicsGoOnUp(t *testing.T) {
	t.Parallel()
	for _, value := range []any{"oops", http.ErrAbortHandler} {
		for name, opts := range map[string][]retryhttp.HandlerOption{
			"alone":   nil,
			"guarded": {retryhttp.WithGuard(bulkheadOf(t))},
		} {
			h := handle(t, func(http.ResponseWriter, *http.Request) { panic(value) }, opts...)
			for range 2 { // the slot of the bulkhead is free again
				assert.PanicsWithValue(t, value, func() { served(t, h, http.Header{}) }, name)
			}
		}
	}
}

// What a handler finds out about its request is there for those outside: traces are named by the
// pattern, and a server removes the files of a form.
func TestRequestIsSeenOutside(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]retryhttp.HandlerOption{
		"alone":   nil,
		"guarded": {retryhttp.WithGuard(bulkheadOf(t))},
	} {
		mux := http.NewServeMux()
		mux.HandleFunc("POST /things/{id}", func(_ http.ResponseWriter, r *http.Request) {
			assert.Equal(t, "5", r.PathValue("id"), name)
			assert.NoError(t, r.ParseMultipartForm(1), name)
			panic("oops")
		})
		form := "--x\r\nContent-Disposition: form-data; name=f; filename=f\r\n\r\nhello\r\n--x--\r\n"
		request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/things/5", strings.NewReader(form))
		request.Header.Set("Content-Type", "multipart/form-data; boundary=x")
		h := handle(t, mux.ServeHTTP, opts...)
		assert.Panics(t, func() { h.ServeHTTP(httptest.NewRecorder(), request) }, name)
		assert.Equal(t, "POST /things/{id}", request.Pattern, name)
		require.NotNil(t, request.MultipartForm, name)
		assert.NoError(t, request.MultipartForm.RemoveAll())
	}
}

func TestAbortEndsTheConnection(t *testing.T) {
	t.Parallel()
	aborts := handle(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		assert.NoError(t, http.NewResponseController(w).Flush())
		panic(http.ErrAbortHandler)
	}, retryhttp.WithGuard(bulkheadOf(t)))
	for proto, server := range realServers(t, aborts) {
		answer := getBy(t, server.Client(), server.URL)
		_, err := answer.Body.Read(make([]byte, 1))
		assert.Error(t, err, proto)
		answer.Body.Close()
	}
}

// Retry-After has whole seconds, which must not be fewer than those asked for.
func TestRetryAfterOfARefusal(t *testing.T) {
	t.Parallel()
	for after, want := range map[time.Duration]string{
		1:                          "1",
		time.Second:                "1",
		time.Second + 1:            "2",
		90 * time.Second:           "90",
		math.MaxInt64:              "9223372036",
		0:                          "",
		-time.Second:               "",
		1500 * time.Millisecond:    "2",
		30*time.Minute + time.Hour: "5400",
	} {
		refuses := resilience.PolicyFunc(func(context.Context, resilience.Operation) error {
			return resilience.Refused(resilience.RetryAfter(errors.New("the gate is closed"), after))
		})
		answer := served(t, handle(t, ok, retryhttp.WithGuard(refuses)), http.Header{})
		assert.Equal(t, 503, answer.code, after)
		assert.Equal(t, want, answer.header.Get("Retry-After"), after)
		assert.NotContains(t, answer.header, "X-Should-Retry", "nothing gave up")
		assert.Equal(t, "Service Unavailable\n", answer.body, "the reason is nobody's business")
	}
}
