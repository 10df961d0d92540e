package retryhttp_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/retryhttp"
)

// A sentRequest is a request as it was on the wire.
type sentRequest struct {
	header  string // byte by byte
	body    string
	trailer http.Header
	err     error // of the body
}

// A recorder is a script that answers requests by the statuses of answers, the last one for
// further requests, and records them. Each has a connection of its own.
type recorder struct {
	answers []string
	mu      sync.Mutex
	sent    []sentRequest
}

func (r *recorder) script(w *wire) {
	var raw bytes.Buffer
	w.reader = bufio.NewReader(io.TeeReader(w.Conn, &raw))
	if !w.header() {
		return
	}
	header, _, _ := strings.Cut(raw.String(), "\r\n\r\n")
	if w.last.Header.Get("Expect") != "" && r.next() == "continue" {
		w.say("HTTP/1.1 100 Continue\r\n\r\n")
	} else if w.last.Header.Get("Expect") != "" {
		w.last.Body = http.NoBody // it does not come
	}
	body, err := io.ReadAll(w.last.Body)
	answer := r.record(sentRequest{header, string(body), w.last.Trailer, err})
	if answer == "continue" {
		answer = "200 OK"
	}
	w.say("HTTP/1.1 " + answer + "\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello")
}

func (r *recorder) next() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.answers[min(len(r.sent), len(r.answers)-1)]
}

func (r *recorder) record(s sentRequest) string {
	answer := r.next()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent = append(r.sent, s)
	return answer
}

// sameBytes checks that all attempts sent what the first one sent, and Previous-Attempts.
func (r *recorder) sameBytes(t *testing.T, attempts int, body string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	require.Len(t, r.sent, attempts)
	signal := regexp.MustCompile("\r\nPrevious-Attempts: ([0-9])")
	for i, s := range r.sent {
		assert.NoError(t, s.err)
		assert.Equal(t, r.sent[0].header, signal.ReplaceAllString(s.header, ""))
		assert.Equal(t, i > 0, signal.MatchString(s.header))
		if body != s.body {
			t.Errorf("other %d bytes sent in attempt %d", len(s.body), i+1)
		}
		assert.Equal(t, r.sent[0].trailer, s.trailer)
	}
}

// failing returns a server that fails twice, and what it recorded.
func failing(t *testing.T) (*wireServer, *recorder) {
	t.Helper()
	r := &recorder{answers: []string{"503 Service Unavailable", "502 Bad Gateway", "200 OK"}}
	return serveWires(t, r.script), r
}

// opaque is a reader of which nobody knows anything.
func opaque(s string) io.Reader { return struct{ io.Reader }{strings.NewReader(s)} }

// file returns a file with the content s that was read up to offset.
func file(t *testing.T, s string, offset int64) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "body")
	require.NoError(t, os.WriteFile(path, []byte(s), 0o600))
	f, err := os.Open(path)
	require.NoError(t, err)
	_, err = io.CopyN(io.Discard, f, offset)
	require.NoError(t, err)
	return f
}

func pipe(s string) io.Reader {
	r, w := io.Pipe()
	go func() {
		for chunk := range strings.SplitAfterSeq(s, "7") {
			_, _ = io.WriteString(w, chunk)
		}
		_ = w.Close()
	}()
	return r
}

func TestBodiesAreSentAgain(t *testing.T) {
	t.Parallel()
	const limit = 1 << 16
	text := string(largeBody[:limit])
	for name, test := range map[string]struct {
		body   io.Reader
		length int64 // that is declared, if not 0
		limit  int64 // limit if 0; 0 if negative
		sends  string
		once   bool
	}{
		"none":                   {nil, 0, 0, "", false},
		"NoBody":                 {http.NoBody, 0, 0, "", false},
		"bytes":                  {bytes.NewReader([]byte(text)), 0, -1, text, false},
		"string":                 {strings.NewReader(text), 0, -1, text, false},
		"buffer":                 {bytes.NewBufferString(text), 0, -1, text, false},
		"file":                   {file(t, text, 0), 0, -1, text, false},
		"file of known length":   {file(t, text, 0), limit, -1, text, false},
		"file read in part":      {file(t, text, 11), 0, -1, text[11:], false},
		"file of known rest":     {file(t, text, 11), limit - 11, -1, text[11:], false},
		"empty file":             {file(t, "", 0), 0, -1, "", false},
		"section":                {io.NewSectionReader(strings.NewReader(text), 5, 100), 0, 0, text[5:105], false},
		"unknown":                {opaque(text[:99]), 0, 0, text[:99], false},
		"unknown, at the limit":  {opaque(text), 0, 0, text, false},
		"unknown, above":         {opaque(text + "x"), 0, 0, text + "x", true},
		"declared, at the limit": {opaque(text), limit, 0, text, false},
		"declared, above":        {opaque(text + "x"), limit + 1, 0, text + "x", true},
		"nothing is kept":        {opaque("x"), 0, -1, "x", true},
		"there is nothing":       {opaque(""), 0, -1, "", false},
		"byte by byte":           {iotest.OneByteReader(opaque(text[:99])), 0, 0, text[:99], false},
		"end with the last byte": {iotest.DataErrReader(opaque(text)), 0, 0, text, false},
		"pipe":                   {pipe(text), 0, 0, text, false},
		"pipe, above":            {pipe(text + "x"), 0, 0, text + "x", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, recorded := failing(t)
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL+"/a%2Fb/../c?x=%20&y", test.body)
			require.NoError(t, err)
			request.ContentLength = max(request.ContentLength, test.length)
			request.Header = http.Header{"X-A": {"1", "2"}, "x-lower": {"é"}, "User-Agent": {"me"}, "Content-Type": {"text/plain"}}
			request.Host = "service.example:81"
			request.SetBasicAuth("user", "password")
			kept := int64(limit)
			if test.limit < 0 {
				kept = 0
			}
			client := &http.Client{Transport: retryhttp.MustNew(policyOf(t),
				retryhttp.WithBase(transportOf(t)), retryhttp.WithBufferLimit(kept))}
			answer, err := client.Do(request)
			require.NoError(t, err)
			assert.Equal(t, "hello", read(t, answer))
			assert.Equal(t, map[bool]int{false: 200, true: 503}[test.once], answer.StatusCode)
			recorded.sameBytes(t, map[bool]int{false: 3, true: 1}[test.once], test.sends)
			assert.NotContains(t, request.Header, "Previous-Attempts", "the caller's request stays as it is")
		})
	}
}

func TestTrailersOfRequests(t *testing.T) {
	t.Parallel()
	server, recorded := failing(t)
	body := &summing{Reader: opaque("hello")}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL, body)
	require.NoError(t, err)
	request.Trailer = http.Header{"Sum": nil}
	body.trailer = request.Trailer
	answer, err := (&http.Client{Transport: retryhttp.MustNew(policyOf(t), retryhttp.WithBase(transportOf(t)))}).Do(request)
	require.NoError(t, err)
	assert.Equal(t, 200, answer.StatusCode)
	answer.Body.Close()
	recorded.sameBytes(t, 3, "hello")
	assert.Equal(t, http.Header{"Sum": {"5"}}, recorded.sent[2].trailer)
}

// summing fills in a trailer at its end.
type summing struct {
	io.Reader
	trailer http.Header
}

func (s *summing) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil {
		s.trailer.Set("Sum", "5")
	}
	return n, err
}

// A server that says no to the header of a request gets no body.
func TestExpectContinue(t *testing.T) {
	t.Parallel()
	r := &recorder{answers: []string{"503 Service Unavailable", "continue"}}
	server := serveWires(t, r.script)
	base := transportOf(t)
	base.ExpectContinueTimeout = 1 << 40
	for _, body := range []io.Reader{opaque("hello"), strings.NewReader("hello")} {
		r.sent = nil
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL, body)
		require.NoError(t, err)
		request.Header.Set("Expect", "100-continue")
		answer, err := (&http.Client{Transport: retryhttp.MustNew(policyOf(t), retryhttp.WithBase(base))}).Do(request)
		require.NoError(t, err)
		assert.Equal(t, 200, answer.StatusCode)
		answer.Body.Close()
		require.Len(t, r.sent, 2)
		assert.Equal(t, []string{"", "hello"}, []string{r.sent[0].body, r.sent[1].body})
	}
}

func TestBodyThatFails(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]error{"unknown": errors.New("disk"), "transient": syscall.ECONNRESET} {
		server, _ := failing(t)
		source := &countedBody{Reader: io.MultiReader(opaque("hel"), iotest.ErrReader(broken))}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL, source)
		require.NoError(t, err)
		client := &http.Client{Transport: retryhttp.MustNew(policyOf(t), retryhttp.WithBase(transportOf(t)))}
		_, err = client.Do(request) //nolint:bodyclose // there is none
		require.ErrorIs(t, err, broken, name)
		_, retried := errors.AsType[*retry.Error](err)
		assert.False(t, retried, name)
		assert.EqualValues(t, 1, server.accepted.Load(), name)
		assert.EqualValues(t, 1, source.closes.Load(), name)
	}
}

// countedBody counts how often it is closed.
type countedBody struct {
	io.Reader
	closes atomic.Int64
}

func (b *countedBody) Close() error { b.closes.Add(1); return nil }

// Where GetBody fails the caller gets what the attempt before ended with, and sees why there was
// no other.
func TestGetBodyFails(t *testing.T) {
	t.Parallel()
	gone := errors.New("gone")
	for name, script := range map[string]func(*wire){
		"answer": after(saying("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\n\r\nhello")), "hang up": after(),
	} {
		server := serveWires(t, script)
		source := &countedBody{Reader: strings.NewReader("body")}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL, source)
		require.NoError(t, err)
		request.GetBody = func() (io.ReadCloser, error) { return nil, gone }
		client := &http.Client{Transport: retryhttp.MustNew(policyOf(t), retryhttp.WithBase(transportOf(t)))}
		answer, err := client.Do(request)
		if name == "answer" {
			require.NoError(t, err)
			assert.Equal(t, 503, answer.StatusCode)
			assert.Equal(t, "hello", read(t, answer))
		} else {
			require.ErrorIs(t, err, gone)
			require.ErrorIs(t, err, io.EOF)
		}
		assert.EqualValues(t, 1, server.requests.Load(), name)
		assert.EqualValues(t, 1, source.closes.Load(), name)
	}
}
