package retryhttp_test

import (
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/retryhttp"
)

// The Timeout of a client is for all attempts and the body together.
func TestClientTimeout(t *testing.T) {
	t.Parallel()
	stalls := after((*wire).stall)
	stallsInBody := after(saying("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"), (*wire).stall)
	for name, script := range map[string]func(*wire){"attempt": stalls, "body": stallsInBody} {
		server := serveWires(t, after(saying("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")), script)
		client := &http.Client{
			Transport: retryhttp.MustNew(policyOf(t, retry.WithAttemptTimeout(time.Hour)), retryhttp.WithBase(transportOf(t))),
			Timeout:   attemptTimeout,
		}
		answer, err := client.Get(server.URL)
		if name == "body" {
			require.NoError(t, err)
			_, err = io.ReadAll(answer.Body)
			answer.Body.Close()
		}
		require.Error(t, err)
		assert.True(t, isTimeout(err), "%v", err)
		assert.EqualValues(t, 2, server.requests.Load())
	}
	// A wait that would outlast it is not begun, and the caller gets the answer.
	server := serve(t, status(503))
	client := server.client(t, policyOf(t, retry.WithBackoff(backoff.Constant{Interval: time.Hour, Jitter: backoff.NoJitter})))
	client.Timeout = time.Minute
	answer, err := client.Get(server.URL)
	require.NoError(t, err)
	assert.Equal(t, 503, answer.StatusCode)
	answer.Body.Close()
	assert.Len(t, server.got(), 1)
}

// A client sends the body on to where a server of a redirect that keeps the method points, and
// each of the two requests has retries of its own.
func TestRedirectWithBody(t *testing.T) {
	t.Parallel()
	for _, code := range []int{307, 308} {
		server := serve(t, status(503), func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/target", code)
		}, status(502), func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			w.WriteHeader(http.StatusCreated)
			io.WriteString(w, r.Method+r.URL.Path+string(body)) //nolint:errcheck // the test reads it
		})
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL+"/source", strings.NewReader(`{"a":1}`))
		require.NoError(t, err)
		answer, err := server.client(t, policyOf(t)).Do(request)
		require.NoError(t, err)
		assert.Equal(t, 201, answer.StatusCode)
		assert.Equal(t, `PUT/target{"a":1}`, read(t, answer))
		var previous []string
		for _, r := range server.got() {
			assert.Equal(t, `{"a":1}`, r.body)
			previous = append(previous, r.header.Get("Previous-Attempts"))
		}
		assert.Equal(t, []string{"", "1", "", "1"}, previous)
	}
}

// A redirect that the client does not follow is no failure of the attempt.
func TestRedirectIsRefused(t *testing.T) {
	t.Parallel()
	server := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) })
	client := server.client(t, policyOf(t, retry.WithUnknown(resilience.ClassRetryable)))
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	answer, err := client.Get(server.URL)
	require.NoError(t, err)
	answer.Body.Close()
	assert.Equal(t, 302, answer.StatusCode)
	assert.Len(t, server.got(), 1)
}

// Cookies belong to the answer that the client gets.
func TestCookies(t *testing.T) {
	t.Parallel()
	server := serve(t, status(503, "Set-Cookie", "failed=1"), func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "abc"})
		ok(w, r)
	}, status(503), ok)
	client := server.client(t, policyOf(t))
	var err error
	client.Jar, err = cookiejar.New(nil)
	require.NoError(t, err)
	for range 2 {
		answer, err := client.Get(server.URL)
		require.NoError(t, err)
		assert.Equal(t, "hello", read(t, answer))
	}
	var sent []string
	for _, r := range server.got() {
		sent = append(sent, r.header.Get("Cookie"))
	}
	assert.Equal(t, []string{"", "", "session=abc", "session=abc"}, sent)
}

func TestCloseIdleConnections(t *testing.T) {
	t.Parallel()
	closed := make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(ok))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			close(closed)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	client := &http.Client{Transport: retryhttp.MustNew(policyOf(t), retryhttp.WithBase(retryhttp.ResendCount(transportOf(t))))}
	answer, err := client.Get(server.URL)
	require.NoError(t, err)
	assert.Equal(t, "hello", read(t, answer))
	client.CloseIdleConnections()
	<-closed
	base := roundTripper(func(*http.Request) (*http.Response, error) { return nil, io.EOF })
	retryhttp.MustNew(nil, retryhttp.WithBase(base)).CloseIdleConnections() // which has none
}

// An attempt does not wait for a connection that the answer before it holds.
func TestOneConnection(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int{"small": 10, "large": 10 << 10, "beyond what is read ahead": 200 << 10} {
		var requests atomic.Int64
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			code := http.StatusServiceUnavailable
			if requests.Add(1)%3 == 0 {
				code = http.StatusOK
			}
			w.WriteHeader(code)
			w.Write(largeBody[:size]) //nolint:errcheck // the client may not want it
		}))
		t.Cleanup(server.Close)
		base := transportOf(t)
		base.MaxConnsPerHost = 1
		client := &http.Client{Transport: retryhttp.MustNew(policyOf(t, retry.WithMaxRetries(100)), retryhttp.WithBase(base))}
		var calls sync.WaitGroup
		for range 3 {
			calls.Go(func() {
				for range 2 {
					answer, err := client.Get(server.URL)
					if assert.NoError(t, err, name) {
						assert.Equal(t, 200, answer.StatusCode, name)
						assert.Len(t, read(t, answer), size, name)
					}
				}
			})
		}
		calls.Wait()
	}
}
