package retryhttp_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/retryhttp"
)

// What is wrong with a body is not repeated, as the caller may have seen some of it.
func TestFaultsOfBodies(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer string // after the status line
		reset  bool
		is     []error
	}{
		"reset within the body": {"Content-Length: 10\r\n\r\nhello", true, resets},
		"body too short":        {"Content-Length: 10\r\n\r\nhello", false, eof},
		"chunk too short":       {"Transfer-Encoding: chunked\r\n\r\nA\r\nhello", false, eof},
		"no last chunk":         {"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", false, eof},
		"bad chunk":             {"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxyz\r\n", false, nil},
	} {
		for _, code := range []string{"200 OK", "503 Service Unavailable", "404 Not Found"} {
			t.Run(name+"/"+code, func(t *testing.T) {
				t.Parallel()
				seen := make(chan struct{})
				server := serveWires(t, func(w *wire) {
					after(saying("HTTP/1.1 " + code + "\r\n" + test.answer))(w)
					if test.reset {
						<-seen // else it may overtake the answer
						w.reset()
					}
				})
				answer, calls, err := send(t, server, http.MethodGet, nil, fault{})
				require.NoError(t, err)
				close(seen)
				attempts, want := 1, map[string]float64{"success http": 1}
				if strings.HasPrefix(code, "503") {
					attempts, want = 3, map[string]float64{"503 exhausted http": 1}
				}
				assert.EqualValues(t, attempts, server.requests.Load())
				assert.Equal(t, want, calls)
				assert.Equal(t, code, answer.Status)
				body, err := io.ReadAll(answer.Body)
				answer.Body.Close()
				require.Error(t, err)
				assert.True(t, test.is == nil || slices.ContainsFunc(test.is, func(target error) bool { return errors.Is(err, target) }), "%v", err)
				if !test.reset {
					assert.Equal(t, "hello", string(body))
				}
			})
		}
	}
}

// An answer of which the body is not there yet does not keep the next attempt.
func TestFailedAnswerStalls(t *testing.T) {
	t.Parallel()
	for _, head := range []string{"Content-Length: 10\r\n\r\n", "Content-Length: 10\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n"} {
		stalls := after(saying("HTTP/1.1 503 Service Unavailable\r\n"+head), (*wire).stall)
		server := serveWires(t, stalls, stalls, answers)
		answer, _, err := send(t, server, http.MethodGet, nil, fault{})
		require.NoError(t, err)
		assert.Equal(t, "hello", read(t, answer))
		assert.EqualValues(t, 3, server.accepted.Load())
	}
}

// Nor does it use up the time of the next attempt.
func TestFailedAnswerStallsUnderShortTimeouts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const limit = 40 * time.Millisecond
		first := true
		base := roundTripper(func(r *http.Request) (*http.Response, error) {
			if first {
				first = false
				stalled, sink := io.Pipe()
				context.AfterFunc(r.Context(), func() { _ = sink.CloseWithError(r.Context().Err()) })
				return &http.Response{StatusCode: http.StatusServiceUnavailable, Body: stalled}, nil
			}
			assert.NoError(t, r.Context().Err())
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
		})
		policy := policyOf(t, retry.WithMaxRetries(1), retry.WithAttemptTimeout(limit))
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1/", http.NoBody)
		began := time.Now()
		answer, err := retryhttp.MustNew(policy, retryhttp.WithBase(base)).RoundTrip(request)
		require.NoError(t, err)
		assert.Equal(t, 200, answer.StatusCode)
		answer.Body.Close()
		assert.Equal(t, limit/4, time.Since(began))
	})
}

// Informational answers come before the one that counts.
func TestInformationalAnswers(t *testing.T) {
	t.Parallel()
	hints := "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
	failing := after(saying(hints + "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
	server := serveWires(t, failing, after(saying(hints+"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")))
	answer, calls, err := send(t, server, http.MethodGet, nil, fault{})
	require.NoError(t, err)
	assert.Equal(t, "hello", read(t, answer))
	assert.EqualValues(t, 2, server.requests.Load())
	assert.Equal(t, map[string]float64{"success_after_retry http": 1}, calls)
}
