package compare

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-retryablehttp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/retryhttp"
)

// sender sends a request by a library's client: theirs and ours, with their defaults.
type sender func(callee transport, request *http.Request) (*http.Response, error)

func senders(opts ...retry.Option) map[string]sender {
	return map[string]sender{
		goRetryableHTTP: func(callee transport, request *http.Request) (*http.Response, error) {
			wrapped, err := retryablehttp.FromRequest(request)
			if err != nil {
				return nil, err
			}
			return newHTTPClient(callee).Do(wrapped)
		},
		toolkit: func(callee transport, request *http.Request) (*http.Response, error) {
			return (&http.Client{Transport: retryhttp.MustNew(newPolicy(opts...), retryhttp.WithBase(callee))}).Do(request)
		},
	}
}

func requestOf(ctx context.Context, t *testing.T, method string) *http.Request {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, method, "http://callee", strings.NewReader("body"))
	require.NoError(t, err)
	return request
}

// TestHTTPMethods counts the requests for each method while the callee answers with 503.
func TestHTTPMethods(t *testing.T) {
	for method, want := range map[string]map[string]int{
		http.MethodGet:  {goRetryableHTTP: 5, toolkit: 4},
		http.MethodPost: {goRetryableHTTP: 5, toolkit: 1},
	} {
		for name, send := range senders() {
			synctest.Test(t, func(t *testing.T) {
				requests := 0
				answer, err := send(func(*http.Request) (*http.Response, error) {
					requests++
					return response(http.StatusServiceUnavailable, ""), nil
				}, requestOf(t.Context(), t, method))
				if err == nil {
					answer.Body.Close()
				}
				assert.Equal(t, want[name], requests, "%s: %s", name, method)
				assert.Equal(t, name == goRetryableHTTP, err != nil, "%s: the last answer of a %s is an error", name, method)
			})
		}
	}
}

// TestHTTPUnknownErrors counts the requests when the transport fails with what nobody knows.
func TestHTTPUnknownErrors(t *testing.T) {
	for name, send := range senders() {
		synctest.Test(t, func(t *testing.T) {
			requests := 0
			_, err := send(func(*http.Request) (*http.Response, error) { //nolint:bodyclose // there is none
				requests++
				return nil, errors.New("what is this?")
			}, requestOf(t.Context(), t, http.MethodGet))
			require.Error(t, err)
			assert.Equal(t, map[string]int{goRetryableHTTP: 5, toolkit: 1}[name], requests, name)
		})
	}
}

// TestHTTPServersClock has a server whose clock is ten minutes behind that asks by a date to wait
// for 5 s.
func TestHTTPServersClock(t *testing.T) {
	for name, send := range senders() {
		synctest.Test(t, func(t *testing.T) {
			requests := 0
			began := time.Now()
			answer, err := send(func(*http.Request) (*http.Response, error) {
				if requests++; requests > 1 {
					return response(http.StatusOK, ""), nil
				}
				its := time.Now().Add(-10 * time.Minute).UTC()
				refused := response(http.StatusServiceUnavailable, its.Add(5*time.Second).Format(http.TimeFormat))
				refused.Header.Set("Date", its.Format(http.TimeFormat))
				return refused, nil
			}, requestOf(t.Context(), t, http.MethodGet))
			require.NoError(t, err)
			answer.Body.Close()
			took := time.Since(began)
			t.Logf("%s: waited %v", name, took)
			assert.Equal(t, name == toolkit, took == 5*time.Second, name)
		})
	}
}

// TestHTTPDeadline has a delay that outlasts the deadline of the context.
func TestHTTPDeadline(t *testing.T) {
	for name, send := range senders(retry.WithMaxPushback(time.Hour)) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			began := time.Now()
			answer, err := send(func(*http.Request) (*http.Response, error) {
				return response(http.StatusServiceUnavailable, "30"), nil
			}, requestOf(ctx, t, http.MethodGet))
			took := time.Since(began)
			if name == goRetryableHTTP {
				require.ErrorIs(t, err, context.DeadlineExceeded)
				assert.Equal(t, 300*time.Millisecond, took)
				return
			}
			require.NoError(t, err)
			answer.Body.Close()
			assert.Zero(t, took)
		})
	}
}

// TestHTTPUnknownBody says when a body that cannot be read twice is read: as a whole before the
// first request, or as it is sent.
func TestHTTPUnknownBody(t *testing.T) {
	const size = 8 << 20
	for name, send := range senders() {
		synctest.Test(t, func(t *testing.T) {
			body := &countingReader{Reader: io.LimitReader(zeros{}, size)}
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://callee", body)
			require.NoError(t, err)
			before := -1
			answer, err := send(func(r *http.Request) (*http.Response, error) {
				before = body.read
				_, err := io.Copy(io.Discard, r.Body)
				r.Body.Close()
				return response(http.StatusOK, ""), err
			}, request)
			require.NoError(t, err)
			answer.Body.Close()
			assert.Equal(t, map[string]int{goRetryableHTTP: size, toolkit: 0}[name], before, name)
			assert.Equal(t, size, body.read, name)
		})
	}
}

type countingReader struct {
	io.Reader
	read int
}

func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.read += n
	return n, err
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
