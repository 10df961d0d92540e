package retryhttp_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/retryhttp"
)

// A caller may cancel at each point of a call, and is told of it.
func TestCanceled(t *testing.T) {
	t.Parallel()
	mine := errors.New("my reason")
	soon := func(length string) func(*wire, func()) {
		return func(w *wire, cancel func()) {
			failed := saying("HTTP/1.1 503 No\r\nContent-Length: " + length + "\r\n\r\nno")
			after(func(*wire) { time.AfterFunc(20*time.Millisecond, cancel) }, failed, (*wire).stall)(w)
		}
	}
	for name, test := range map[string]struct {
		script  func(w *wire, cancel func())
		before  bool
		delay   time.Duration
		body    bool // the call succeeds, and its body fails
		arrived int64
	}{
		"before":         {before: true, script: func(*wire, func()) {}},
		"in the attempt": {script: func(w *wire, cancel func()) { after(func(*wire) { cancel() }, (*wire).stall)(w) }, arrived: 1},
		"within the header": {script: func(w *wire, cancel func()) {
			after(saying("HTTP/1.1 200 OK\r\nContent-Le"), func(*wire) { cancel() }, (*wire).stall)(w)
		}, arrived: 1},
		"in the wait":                      {script: soon("2"), delay: time.Hour, arrived: 1},
		"in the wait, with a stalled body": {script: soon("9"), delay: time.Hour, arrived: 1},
		"within the body": {script: func(w *wire, cancel func()) {
			after(saying("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"), (*wire).stall)(w)
			cancel()
		}, body: true, arrived: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(t.Context())
			server := serveWires(t, func(w *wire) { test.script(w, func() { cancel(mine) }) })
			if test.before {
				cancel(mine)
			}
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, http.NoBody)
			require.NoError(t, err)
			client := &http.Client{Transport: retryhttp.MustNew(
				policyOf(t, retry.WithBackoff(backoff.Constant{Interval: test.delay, Jitter: backoff.NoJitter}), retry.WithAttemptTimeout(time.Hour)),
				retryhttp.WithBase(transportOf(t)))}
			answer, err := client.Do(request)
			if test.body {
				require.NoError(t, err)
				_, err = io.ReadFull(answer.Body, make([]byte, 5))
				require.NoError(t, err)
				cancel(mine)
				_, err = io.ReadAll(answer.Body)
				answer.Body.Close()
				require.True(t, errors.Is(err, mine) || errors.Is(err, context.Canceled), "%v", err)
				return
			}
			require.ErrorIs(t, err, context.Canceled)
			require.ErrorIs(t, err, mine)
			assert.Equal(t, test.arrived, server.requests.Load())
		})
	}
}

// An answer that is there counts, also if the caller has just gone: it may have been executed.
func TestCanceledAtTheEnd(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		method string
		code   int
		answer bool
	}{
		"success": {"GET", 200, true}, "final": {"POST", 503, true}, "last": {"GET", 503, false}, "not found": {"GET", 404, true},
	} {
		for failures := range 2 {
			ctx, cancel := context.WithCancel(t.Context())
			calls := 0
			base := roundTripper(func(*http.Request) (*http.Response, error) {
				if calls++; calls <= failures && test.method == "GET" {
					return nil, io.EOF
				}
				cancel()
				return &http.Response{StatusCode: test.code, Body: io.NopCloser(strings.NewReader("hello"))}, nil
			})
			request := httptest.NewRequestWithContext(ctx, test.method, "http://127.0.0.1/", http.NoBody)
			answer, err := retryhttp.MustNew(policyOf(t), retryhttp.WithBase(base)).RoundTrip(request)
			if !test.answer {
				require.ErrorIs(t, err, context.Canceled, name)
				continue
			}
			require.NoError(t, err, name)
			require.NotNil(t, answer, name)
			assert.Equal(t, test.code, answer.StatusCode, name)
			assert.Equal(t, "hello", read(t, answer), name)
		}
	}
}

// A policy that repeats everything does not make a Transport send what must not be sent twice.
func TestPolicyThatRepeatsAll(t *testing.T) {
	t.Parallel()
	stubborn := resilience.PolicyFunc(func(ctx context.Context, op resilience.Operation) (err error) {
		for range 3 {
			err = op(ctx)
		}
		return err
	})
	for name, test := range map[string]struct {
		method string
		body   io.Reader
		fault  http.HandlerFunc
		want   int
	}{
		"GET":             {"GET", nil, status(503), 3},
		"GET, success":    {"GET", nil, ok, 3},
		"GET, refused":    {"GET", nil, status(503, "X-Should-Retry", "false"), 1},
		"GET, not to be":  {"GET", nil, status(501), 1},
		"POST":            {"POST", nil, status(503), 1},
		"POST, success":   {"POST", nil, ok, 1},
		"POST, hang up":   {"POST", nil, hangUp, 1},
		"PUT, too long":   {"PUT", opaque("body"), status(503), 1},
		"PUT, succeeding": {"PUT", opaque("body"), ok, 1},
	} {
		server := serve(t, test.fault)
		request, err := http.NewRequestWithContext(t.Context(), test.method, server.URL, test.body)
		require.NoError(t, err)
		answer, err := server.client(t, stubborn, retryhttp.WithBufferLimit(3)).Do(request)
		if assert.Equal(t, name == "POST, hang up", err != nil, "%s: %v", name, err); err == nil {
			assert.NotEmpty(t, read(t, answer), name)
		}
		assert.Len(t, server.got(), test.want, name)
	}
}
