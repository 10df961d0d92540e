package retryhttp_test

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/internal/signaltest"
	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/retryhttp"
)

// A fault is one of a connection before there is an answer.
type fault struct {
	script func(*wire)
	// types are the error types that it may have: which end notices first is a matter of luck.
	types []string
	// is are errors of which one must be in the tree.
	is []error
	// once: it is not repeated.
	once bool
	// stalls: only the timeout of the attempt ends it.
	stalls bool
	// early: the end may be there before the client has its connection, and nothing is sent.
	early bool
}

var (
	resets = []error{syscall.ECONNRESET, syscall.EPIPE, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed}
	reset  = []string{"connection_reset", "broken_pipe", "unexpected_eof"}
	hungUp = []string{"unexpected_eof"}
	// A header that breaks off is no different from one that is malformed.
	brokenOff = []string{"malformed_header"}
	eof       = []error{io.EOF, io.ErrUnexpectedEOF}
)

var faults = map[string]fault{
	"reset after accept":       {script: (*wire).reset, types: reset, is: resets, early: true},
	"reset after the request":  {script: after((*wire).reset), types: reset, is: resets},
	"closed after the request": {script: after(), types: hungUp, is: eof},
	"reset after the header of the request": {
		script: func(w *wire) { w.header(); w.reset() }, types: reset, is: resets,
	},
	"reset within the body of the request": {
		script: func(w *wire) {
			if w.header() {
				io.CopyN(io.Discard, w.last.Body, int64(len(largeBody)/2)) //nolint:errcheck // as far as it comes
			}
			w.reset()
		},
		types: reset, is: resets,
	},
	"reset after the status line": {script: after(saying("HTTP/1.1 200 OK\r\n"), (*wire).reset), types: reset, is: resets},
	// To package net/http it is no different from an answer that makes no sense.
	"closed in the status line": {script: after(saying("HTTP/1.1 2")), types: []string{"_OTHER"}, once: true},
	"closed after the status line": {
		script: after(saying("HTTP/1.1 200 OK\r\n")), types: hungUp, is: eof,
	},
	"reset within the header": {
		script: after(saying("HTTP/1.1 200 OK\r\nContent-Le"), (*wire).reset), types: append(brokenOff, reset...),
	},
	"closed within the header":    {script: after(saying("HTTP/1.1 200 OK\r\nContent-Le")), types: brokenOff},
	"closed within the 2nd field": {script: after(saying("HTTP/1.1 200 OK\r\nA: b\r\nC: d")), types: append(brokenOff, hungUp...)},
	"closed after an informational answer": {
		script: after(saying("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")), types: hungUp, is: eof,
	},
	"stalled before the answer": {script: after((*wire).stall), types: []string{"timeout"}, stalls: true},
	"stalled within the header": {
		script: after(saying("HTTP/1.1 200 OK\r\nContent-Le"), (*wire).stall), types: []string{"timeout"}, stalls: true,
	},
	"slow loris":     {script: after(drip), types: []string{"timeout"}, stalls: true},
	"another answer": {script: after(saying("SSH-2.0-OpenSSH_9.9\r\n")), types: []string{"_OTHER", "*errors.errorString"}, once: true},
	"a bad status":   {script: after(saying("HTTP/1.1 abc\r\n\r\n")), types: []string{"_OTHER", "*errors.errorString"}, once: true},
	"a bad length": {
		script: after(saying("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n")), types: []string{"_OTHER", "*http.badStringError"}, once: true,
	},
}

// drip sends a header that never ends.
func drip(w *wire) {
	w.say("HTTP/1.1 200 OK\r\nX: ")
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		w.stall()
	}()
	for tick := time.NewTicker(time.Millisecond); ; {
		select {
		case <-tick.C:
			w.say("x")
		case <-gone:
			tick.Stop()
			return
		}
	}
}

// largeBody is more than what the buffers of a connection take.
var largeBody = bytes.Repeat([]byte("0123456789abcdef"), 1<<17)

// attemptTimeout is short for an attempt that stalls, and long for one that does not.
const attemptTimeout = 400 * time.Millisecond

// send makes a call of server under retries whose calls are counted in the map that it returns.
func send(t *testing.T, server *wireServer, method string, body []byte, f fault) (*http.Response, map[string]float64, error) {
	t.Helper()
	signals := signaltest.New()
	opts := []retry.Option{
		retry.WithMaxRetries(2), retry.WithBackoff(backoff.Constant{}), retry.WithTelemetry(signals.Metrics()...),
	}
	if f.stalls {
		opts = append(opts, retry.WithAttemptTimeout(attemptTimeout))
	}
	transport := retryhttp.MustNew(retry.MustNew("http", opts...), retryhttp.WithBase(transportOf(t)))
	request, err := http.NewRequestWithContext(t.Context(), method, server.URL+"/path?q=1", bytes.NewReader(body))
	require.NoError(t, err)
	answer, err := (&http.Client{Transport: transport}).Do(request)
	calls := signals.Metric(t, "resilience.retry.calls")
	maps.DeleteFunc(calls, func(_ string, n float64) bool { return n == 0 })
	return answer, calls, err
}

func TestFaultsThatPass(t *testing.T) {
	t.Parallel()
	for name, f := range faults {
		if f.once {
			continue // such a failure is not repeated
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := serveWires(t, f.script, answers)
			answer, calls, err := send(t, server, http.MethodPut, largeBody, f)
			require.NoError(t, err)
			assert.Equal(t, "hello", read(t, answer))
			assert.EqualValues(t, 2, server.accepted.Load())
			assert.Equal(t, map[string]float64{"success_after_retry http": 1}, calls)
		})
	}
}

func TestFaultsThatStay(t *testing.T) {
	t.Parallel()
	for name, f := range faults {
		for method, attempts := range map[string]int64{"GET": 3, "PUT": 3, "POST": 1} {
			if method == "POST" && f.early || method == "GET" && strings.Contains(name, "body") {
				continue // a POST that was not sent is repeated, and a GET has no body
			}
			t.Run(name+"/"+method, func(t *testing.T) {
				t.Parallel()
				outcome := "exhausted"
				switch {
				case f.once && method != "POST":
					attempts, outcome = 1, "unclassified"
				case attempts == 1:
					outcome = "not_retryable"
				}
				body := largeBody
				if method == "GET" {
					body = nil
				}
				server := serveWires(t, f.script)
				_, calls, err := send(t, server, method, body, f) //nolint:bodyclose // there is none
				require.Error(t, err)
				assert.Equal(t, attempts, server.accepted.Load())
				checkFailure(t, f, err)
				assert.Equal(t, f.stalls, isTimeout(err), "%v", err)

				require.Len(t, calls, 1)
				for labels := range calls {
					words := strings.Fields(labels)
					require.Len(t, words, 3)
					assert.Contains(t, f.types, words[0])
					assert.Equal(t, outcome, words[1])
				}
				gaveUp, isRetryError := errors.AsType[*retry.Error](err)
				assert.Equal(t, outcome == "exhausted", isRetryError, "%v", err)
				if isRetryError {
					assert.ErrorIs(t, err, retry.ErrExhausted)
					assert.EqualValues(t, attempts, gaveUp.Attempts)
				}
			})
		}
	}
}

func checkFailure(t *testing.T, f fault, err error) {
	t.Helper()
	if len(f.is) > 0 {
		assert.True(t, slices.ContainsFunc(f.is, func(target error) bool { return errors.Is(err, target) }), "%v", err)
	}
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return ok && timeout.Timeout()
}
