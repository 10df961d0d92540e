package retryhttp_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/retryhttp"
)

// A watchedBody sees whether it is closed once, and never while it is read.
type watchedBody struct {
	source  io.Reader
	reading atomic.Int64
	closed  chan struct{} // closed at the first Close
	closes  atomic.Int64
	faults  atomic.Int64
}

func watched(source io.Reader) *watchedBody {
	return &watchedBody{source: source, closed: make(chan struct{})}
}

func (b *watchedBody) Read(p []byte) (int, error) {
	if b.closes.Load() > 0 || b.reading.Add(1) > 1 {
		b.faults.Add(1)
	}
	defer b.reading.Add(-1)
	return b.source.Read(p)
}

func (b *watchedBody) Close() error {
	if b.reading.Load() > 0 {
		b.faults.Add(1)
	}
	if b.closes.Add(1) == 1 {
		close(b.closed)
	}
	return nil
}

func (b *watchedBody) check(t *testing.T) {
	t.Helper()
	<-b.closed
	assert.EqualValues(t, 1, b.closes.Load())
	assert.Zero(t, b.faults.Load())
}

// An answer that comes before all of the body was sent does not end the sending of it.
func TestAnswerBeforeEndOfBody(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]string{"success": "200 OK", "not repeated": "404 Not Found", "exhausted": "503 Service Unavailable"} {
		rest := make(chan string, 1)
		server := serveWires(t, func(w *wire) {
			if !w.header() {
				return
			}
			got := make([]byte, 5)
			io.ReadFull(w.last.Body, got) //nolint:errcheck // it is compared
			w.say("HTTP/1.1 " + code + "\r\nContent-Length: 5\r\n\r\nhello")
			more, _ := io.ReadAll(w.last.Body)
			rest <- string(got) + string(more)
		})
		source, sink := io.Pipe()
		body := watched(source)
		go io.WriteString(sink, "first") //nolint:errcheck // it is compared
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL, body)
		require.NoError(t, err)
		client := &http.Client{Transport: retryhttp.MustNew(policyOf(t, retry.WithMaxRetries(0)), retryhttp.WithBase(transportOf(t)))}
		answer, err := client.Do(request)
		require.NoError(t, err, name)
		assert.Zero(t, body.closes.Load(), name)
		_, err = io.WriteString(sink, ",second")
		require.NoError(t, err, name)
		require.NoError(t, sink.Close())
		assert.Equal(t, "first,second", <-rest, name)
		assert.Equal(t, "hello", read(t, answer), name)
		body.check(t)
	}
}

// A source may block while the attempt that reads it ends. The next attempt sends what came
// before, and goes on with what comes then, whoever has asked for it.
func TestSourceBlocksWhileAttemptEnds(t *testing.T) {
	t.Parallel()
	early := saying("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
	for name, test := range map[string]struct {
		end    func(*wire)
		limit  time.Duration
		unread bool // package net/http waits for the source to see that the connection has ended
	}{
		"early answer": {early, time.Hour, false}, "timeout": {(*wire).stall, attemptTimeout, false}, "reset": {(*wire).reset, time.Hour, true},
	} {
		ended, replayed, all := make(chan bool, 1), make(chan bool), make(chan string, 1)
		server := serveWires(t, func(w *wire) {
			if w.header() {
				io.ReadFull(w.last.Body, make([]byte, 5)) //nolint:errcheck // it is compared below
				test.end(w)
				ended <- true
				w.stall()
			}
		}, func(w *wire) {
			if !w.header() {
				return
			}
			got := make([]byte, 5)
			io.ReadFull(w.last.Body, got) //nolint:errcheck // it is compared
			replayed <- string(got) == "first"
			more, _ := io.ReadAll(w.last.Body)
			all <- string(got) + string(more)
			w.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
		})
		source, sink := io.Pipe()
		body := watched(source)
		go func() {
			io.WriteString(sink, "first") //nolint:errcheck // it is compared
			if test.unread {
				<-ended
				for range 3 { // which takes some writes
					io.WriteString(sink, ",") //nolint:errcheck // it is compared
				}
				assert.True(t, <-replayed, name)
			} else {
				assert.True(t, <-replayed, name)
				io.WriteString(sink, ",,,") //nolint:errcheck // it is compared
			}
			io.WriteString(sink, "second") //nolint:errcheck // it is compared
			io.WriteString(sink, "third")  //nolint:errcheck // it is compared
			_ = sink.Close()
		}()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL, body)
		require.NoError(t, err)
		policy := policyOf(t, retry.WithAttemptTimeout(test.limit))
		client := &http.Client{Transport: retryhttp.MustNew(policy, retryhttp.WithBase(transportOf(t)))}
		answer, err := client.Do(request)
		require.NoError(t, err, name)
		assert.Equal(t, "hello", read(t, answer), name)
		assert.Equal(t, "first,,,secondthird", <-all, name)
		body.check(t)
	}
}

// A transport may read the body of an attempt although the next one is under way: it gets an
// error, and takes nothing away.
func TestLateReaders(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]int64{"kept": 100, "lost": 7} {
		var late []io.ReadCloser
		var sent []string
		base := roundTripper(func(r *http.Request) (*http.Response, error) {
			late = append(late, r.Body)
			part := make([]byte, 5)
			_, err := io.ReadFull(r.Body, part)
			require.NoError(t, err)
			if len(late) == 1 {
				return &http.Response{StatusCode: http.StatusServiceUnavailable, Body: http.NoBody}, nil
			}
			more, err := io.ReadAll(r.Body)
			require.NoError(t, err)
			sent = append(sent, string(part)+string(more))
			n, err := late[0].Read(make([]byte, 5))
			assert.Zero(t, n)
			require.ErrorContains(t, err, "is over", name)
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
		})
		body := watched(opaque("first,second"))
		request := httptest.NewRequestWithContext(t.Context(), http.MethodPut, "http://127.0.0.1/", body)
		request.ContentLength = -1
		answer, err := retryhttp.MustNew(policyOf(t), retryhttp.WithBase(base), retryhttp.WithBufferLimit(limit)).RoundTrip(request)
		require.NoError(t, err)
		assert.Equal(t, 200, answer.StatusCode)
		answer.Body.Close()
		assert.Equal(t, []string{"first,second"}, sent)
		for _, b := range late {
			_, err = b.Read(make([]byte, 5))
			if b == late[0] {
				require.ErrorContains(t, err, "is over", name)
			}
			require.NoError(t, b.Close())
			require.NoError(t, b.Close())
		}
		body.check(t)
	}
}

// The caller goes while the source blocks: the call ends, and the source is closed once it is
// not read any more.
func TestCancelWhileSourceBlocks(t *testing.T) {
	t.Parallel()
	source, sink := io.Pipe()
	body := watched(source)
	ctx, cancel := context.WithCancel(t.Context())
	server := serveWires(t, func(w *wire) {
		if w.header() {
			io.ReadFull(w.last.Body, make([]byte, 5)) //nolint:errcheck // it is known
			cancel()
			w.stall()
		}
	})
	go io.WriteString(sink, "first") //nolint:errcheck // it is known
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, server.URL, body)
	require.NoError(t, err)
	client := &http.Client{Transport: retryhttp.MustNew(policyOf(t), retryhttp.WithBase(transportOf(t)))}
	_, err = client.Do(request) //nolint:bodyclose // there is none
	require.ErrorIs(t, err, context.Canceled)
	assert.Zero(t, body.closes.Load())
	_, err = io.WriteString(sink, "more")
	require.NoError(t, err)
	body.check(t)
}

// The body of a request that is never sent is closed too.
func TestBodyOfUnsentRequest(t *testing.T) {
	t.Parallel()
	refusing := resilience.PolicyFunc(func(context.Context, resilience.Operation) error { return resilience.Refused(errors.New("no")) })
	for name, rewind := range map[string]func() (io.ReadCloser, error){
		"with GetBody": func() (io.ReadCloser, error) { return http.NoBody, nil }, "without": nil,
	} {
		for kind, source := range map[string]io.Reader{"unknown": opaque("x"), "file": file(t, "x", 0)} {
			body := watched(source)
			request := httptest.NewRequestWithContext(t.Context(), http.MethodPut, "http://127.0.0.1/", body)
			request.GetBody = rewind
			_, err := retryhttp.MustNew(refusing).RoundTrip(request) //nolint:bodyclose // there is none
			require.Error(t, err, name+kind)
			body.check(t)
		}
	}
}

// What has gone out in part and cannot be sent again is not sent again.
func TestHalfSentOnce(t *testing.T) {
	t.Parallel()
	server := serveWires(t, func(w *wire) {
		if w.header() {
			io.CopyN(io.Discard, w.last.Body, 1000) //nolint:errcheck // as far as it comes
			w.reset()
		}
	})
	body := watched(opaque(strings.Repeat("x", 1<<20)))
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL, body)
	require.NoError(t, err)
	client := &http.Client{
		Transport: retryhttp.MustNew(policyOf(t, retry.WithAttemptTimeout(time.Hour)),
			retryhttp.WithBase(transportOf(t)), retryhttp.WithBufferLimit(999)),
	}
	_, err = client.Do(request) //nolint:bodyclose // there is none
	require.Error(t, err)
	assert.EqualValues(t, 1, server.requests.Load())
	body.check(t)
}

// By HTTP/2 an attempt ends although the source blocks.
func TestSourceBlocksWhileStreamEnds(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	replayed := make(chan bool, 1)
	server, base := http2Server(t, func(w http.ResponseWriter, r *http.Request) {
		got := new(bytes.Buffer)
		io.CopyN(got, r.Body, 5) //nolint:errcheck // it is compared
		if requests.Add(1) == 1 {
			hangUp(w, r)
		}
		replayed <- true
		io.Copy(got, r.Body) //nolint:errcheck // it is compared
		w.Write(got.Bytes()) //nolint:errcheck // the test reads it
	})
	source, sink := io.Pipe()
	go func() {
		io.WriteString(sink, "first") //nolint:errcheck // it is compared
		<-replayed
		io.WriteString(sink, ",second") //nolint:errcheck // it is compared
		_ = sink.Close()
	}()
	body := watched(source)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL, body)
	require.NoError(t, err)
	answer, err := (&http.Client{Transport: retryhttp.MustNew(policyOf(t), retryhttp.WithBase(base))}).Do(request)
	require.NoError(t, err)
	assert.Equal(t, "first,second", read(t, answer))
	body.check(t)
}
