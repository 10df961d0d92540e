package retryhttp_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/retryhttp"
)

// A service is down, comes up, has troubles at first, and then works: a call that began before
// all that succeeds, whatever its body.
func TestServiceComesUp(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]io.Reader{
		"bytes": bytes.NewReader([]byte("hello")), "buffer": bytes.NewBufferString("hello"),
		"string": strings.NewReader("hello"), "unknown": opaque("hello"), "file": file(t, "hello", 0),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var dials, requests atomic.Int64
			service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got, _ := io.ReadAll(r.Body)
				assert.Equal(t, "PUT /v1/foo bar hello", r.Method+" "+r.RequestURI+" "+r.Header.Get("Foo")+" "+string(got))
				if requests.Add(1) < 3 {
					status(500)(w, r)
				}
			}))
			t.Cleanup(service.Close)
			base := transportOf(t)
			connect := base.DialContext
			base.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
				if dials.Add(1) <= 3 {
					return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
				}
				return connect(ctx, network, address)
			}
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, service.URL+"/v1/foo", body)
			require.NoError(t, err)
			request.Header.Set("Foo", "bar")
			answer, err := (&http.Client{Transport: retryhttp.MustNew(policyOf(t, retry.WithMaxRetries(5)), retryhttp.WithBase(base))}).Do(request)
			require.NoError(t, err)
			assert.Equal(t, 200, answer.StatusCode)
			answer.Body.Close()
			assert.EqualValues(t, 3, requests.Load())
		})
	}
}

// What signs requests, or reads answers, for each attempt stands inside of the Transport.
func TestEachAttemptIsSigned(t *testing.T) {
	t.Parallel()
	server := serve(t, status(503), status(503), ok)
	var texts []string
	next := transportOf(t)
	signing := roundTripper(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.Header.Set("Signature", "first")
		if a := resilience.AttemptFrom(r.Context()); a != nil {
			r.Header.Set("Signature", strings.Repeat("again", a.Number-1))
		}
		answer, err := next.RoundTrip(r)
		if err == nil {
			text, _ := io.ReadAll(answer.Body)
			answer.Body.Close()
			texts = append(texts, string(text))
			answer.Body = io.NopCloser(bytes.NewReader(text))
		}
		return answer, err
	})
	client := &http.Client{Transport: retryhttp.MustNew(policyOf(t), retryhttp.WithBase(signing))}
	answer, err := client.Get(server.URL)
	require.NoError(t, err)
	assert.Equal(t, "hello", read(t, answer))
	assert.Equal(t, []string{"Service Unavailable", "Service Unavailable", "hello"}, texts)
	var signatures []string
	for _, r := range server.got() {
		signatures = append(signatures, r.header.Get("Signature"))
	}
	assert.Equal(t, []string{"first", "again", "againagain"}, signatures)
}

// The short forms of a client do what they do.
func TestFormsOfRequests(t *testing.T) {
	t.Parallel()
	server := serve(t, status(503), ok)
	client := server.client(t, policyOf(t))
	answer, err := client.Head(server.URL)
	require.NoError(t, err)
	assert.Empty(t, read(t, answer))
	assert.Len(t, server.got(), 2)

	answer, err = client.PostForm(server.URL, url.Values{"hello": {"world"}})
	require.NoError(t, err)
	answer.Body.Close()
	last := server.got()[2]
	assert.Equal(t, "hello=world", last.body)
	assert.Equal(t, "application/x-www-form-urlencoded", last.header.Get("Content-Type"))
}

// A Transport that nobody made says so.
func TestZeroTransport(t *testing.T) {
	t.Parallel()
	body := watched(opaque("x"))
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPut, "http://127.0.0.1/", body)
	_, err := new(retryhttp.Transport).RoundTrip(request) //nolint:bodyclose // there is none
	require.ErrorContains(t, err, "not made by New")
	body.check(t)
}
