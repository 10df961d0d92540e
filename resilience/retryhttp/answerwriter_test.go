package retryhttp_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience/retryhttp"
)

// A handler finds in its writer what it would find in that of the server.
func TestWriterIsWhatTheServersIs(t *testing.T) {
	t.Parallel()
	var plain, wrapped []string
	list := func(into *[]string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { *into = abilities(w) }
	}
	want := map[string][]string{
		"HTTP/1.1": {"flush", "hijack", "read from", "write string"},
		"HTTP/2.0": {"flush", "push", "write string"},
	}
	for proto, server := range realServers(t, list(&plain)) {
		getNothing(t, server)
		assert.Equal(t, want[proto], plain, "the server of %s is another one", proto)
	}
	for proto, server := range realServers(t, handle(t, list(&wrapped))) {
		getNothing(t, server)
		assert.Equal(t, want[proto], wrapped, proto)
	}

	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
	handle(t, list(&wrapped)).ServeHTTP(httptest.NewRecorder(), request)
	assert.Equal(t, []string{"flush", "write string"}, wrapped)
	handle(t, list(&wrapped)).ServeHTTP(struct{ http.ResponseWriter }{httptest.NewRecorder()}, request)
	assert.Equal(t, []string{"write string"}, wrapped)
}

// abilities returns what w can do besides to answer.
func abilities(w http.ResponseWriter) (all []string) {
	add := func(can bool, what string) {
		if can {
			all = append(all, what)
		}
	}
	_, flushes := w.(http.Flusher)
	_, hijacks := w.(http.Hijacker)
	_, pushes := w.(http.Pusher)
	_, reads := w.(io.ReaderFrom)
	_, writesStrings := w.(io.StringWriter)
	add(flushes, "flush")
	add(hijacks, "hijack")
	add(pushes, "push")
	add(reads, "read from")
	add(writesStrings, "write string")
	return all
}

func getNothing(t *testing.T, server *httptest.Server) {
	t.Helper()
	answer := getBy(t, server.Client(), server.URL)
	answer.Body.Close()
}

// Each way to answer is an answer of status 200.
func TestWaysToAnswer(t *testing.T) {
	t.Parallel()
	for name, answers := range map[string]func(w http.ResponseWriter){
		"Write":       func(w http.ResponseWriter) { w.Write([]byte("hello")) },        //nolint:errcheck // the test reads it
		"WriteString": func(w http.ResponseWriter) { io.WriteString(w, "hello") },      //nolint:errcheck // the test reads it
		"copy":        func(w http.ResponseWriter) { io.Copy(w, onlyReader("hello")) }, //nolint:errcheck // the test reads it
		"empty copy": func(w http.ResponseWriter) {
			io.Copy(w, onlyReader("")) //nolint:errcheck // the test reads it
			w.WriteHeader(http.StatusOK)
			io.WriteString(w, "hello") //nolint:errcheck // the test reads it
		},
		"flush": func(w http.ResponseWriter) {
			w.(http.Flusher).Flush()
			w.WriteHeader(http.StatusInternalServerError) // too late
			io.WriteString(w, "hello")                    //nolint:errcheck // the test reads it
		},
		"controlled flush": func(w http.ResponseWriter) {
			assert.NoError(t, http.NewResponseController(w).Flush())
			io.WriteString(w, "hello") //nolint:errcheck // the test reads it
		},
	} {
		guard := breakerOf(t)
		h := handle(t, func(w http.ResponseWriter, r *http.Request) {
			assert.Error(t, policyOf(t).Do(r.Context(), down))
			answers(w)
		}, retryhttp.WithGuard(guard))
		for proto, server := range realServers(t, h) {
			answer := getBy(t, server.Client(), server.URL)
			assert.Equal(t, 200, answer.StatusCode, "%s, %s", name, proto)
			assert.NotContains(t, answer.Header, "X-Should-Retry", "%s, %s", name, proto)
			assert.Equal(t, "hello", read(t, answer), "%s, %s", name, proto)
		}
	}
}

func onlyReader(s string) io.Reader { return struct{ io.Reader }{strings.NewReader(s)} }

// To have copied nothing is not to have answered: what the handler says then is what counts.
func TestFailureAfterAnEmptyCopy(t *testing.T) {
	t.Parallel()
	h := handle(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Error(t, policyOf(t).Do(r.Context(), down))
		n, err := io.Copy(w, onlyReader(""))
		assert.NoError(t, err)
		assert.Zero(t, n)
		w.WriteHeader(http.StatusBadGateway)
	})
	for proto, server := range realServers(t, h) {
		answer := getBy(t, server.Client(), server.URL)
		answer.Body.Close()
		assert.Equal(t, 502, answer.StatusCode, proto)
		assert.Equal(t, "false", answer.Header.Get("X-Should-Retry"), proto)
	}
}

func TestFilesAreSentWhole(t *testing.T) {
	t.Parallel()
	content := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	path := filepath.Join(t.TempDir(), "file.bin")
	require.NoError(t, os.WriteFile(path, content, 0o600))
	h := handle(t, func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, path) })
	for proto, server := range realServers(t, h) {
		answer := getBy(t, server.Client(), server.URL) //nolint:bodyclose // read closes it
		assert.Equal(t, string(content), read(t, answer), proto)
	}
}

// Informational answers come before the answer, and are none themselves.
func TestEarlyHints(t *testing.T) {
	t.Parallel()
	h := handle(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Error(t, policyOf(t).Do(r.Context(), down))
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusBadGateway)
	})
	for proto, server := range realServers(t, h) {
		var hints []textproto.MIMEHeader
		request, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
				assert.Equal(t, 103, code)
				hints = append(hints, header)
				return nil
			},
		}), http.MethodGet, server.URL, http.NoBody)
		require.NoError(t, err)
		answer, err := server.Client().Do(request)
		require.NoError(t, err)
		answer.Body.Close()
		require.Len(t, hints, 1, proto)
		assert.Equal(t, "</style.css>; rel=preload", hints[0].Get("Link"))
		assert.Empty(t, hints[0].Get("X-Should-Retry"), "that comes with the answer")
		assert.Equal(t, 502, answer.StatusCode)
		assert.Equal(t, "false", answer.Header.Get("X-Should-Retry"))
	}
}

// Each event is with the reader before the next one is sent.
func TestServerSentEvents(t *testing.T) {
	t.Parallel()
	seen := make(chan struct{})
	h := handle(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			w.(http.Flusher).Flush()
			select {
			case <-seen:
			case <-r.Context().Done():
				return
			}
		}
	}, retryhttp.WithGuard(bulkheadOf(t)))
	for proto, server := range realServers(t, h) {
		transport := retryhttp.MustNew(policyOf(t), retryhttp.WithBase(server.Client().Transport))
		answer := getBy(t, (&http.Client{Transport: transport}), server.URL)
		lines := bufio.NewReader(answer.Body)
		for i := range 3 {
			line, err := lines.ReadString('\n')
			require.NoError(t, err, proto)
			assert.Equal(t, fmt.Sprintf("data: %d\n", i), line)
			_, err = lines.ReadString('\n')
			require.NoError(t, err, proto)
			seen <- struct{}{}
		}
		assert.Empty(t, read(t, answer))
	}
}

// The deadlines of the server are within reach.
func TestReadDeadline(t *testing.T) {
	t.Parallel()
	errs := make(chan error, 1)
	h := handle(t, func(w http.ResponseWriter, r *http.Request) {
		controller := http.NewResponseController(w)
		assert.NoError(t, controller.SetWriteDeadline(time.Now().Add(time.Hour)))
		assert.NoError(t, controller.SetReadDeadline(time.Now().Add(-time.Hour)))
		_, err := io.ReadAll(r.Body)
		errs <- err
	})
	for proto, server := range realServers(t, h) {
		body, end := io.Pipe()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, body)
		require.NoError(t, err)
		if answer, err := server.Client().Do(request); err == nil {
			answer.Body.Close()
		}
		assert.ErrorIs(t, <-errs, os.ErrDeadlineExceeded, proto)
		assert.NoError(t, end.Close())
	}
}

// An answer may begin before the request has ended.
func TestFullDuplex(t *testing.T) {
	t.Parallel()
	h := handle(t, func(w http.ResponseWriter, r *http.Request) {
		controller := http.NewResponseController(w)
		assert.NoError(t, controller.EnableFullDuplex())
		assert.NoError(t, controller.Flush())
		for lines := bufio.NewReader(r.Body); ; {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			io.WriteString(w, strings.ToUpper(line)) //nolint:errcheck // the test reads it
			assert.NoError(t, controller.Flush())
		}
	})
	for proto, server := range realServers(t, h) {
		body, lines := io.Pipe()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, body)
		require.NoError(t, err)
		answer, err := server.Client().Do(request)
		require.NoError(t, err)
		echo := bufio.NewReader(answer.Body)
		for _, line := range []string{"first\n", "second\n"} {
			_, err = io.WriteString(lines, line)
			require.NoError(t, err, proto)
			got, err := echo.ReadString('\n')
			require.NoError(t, err, proto)
			assert.Equal(t, strings.ToUpper(line), got)
		}
		assert.NoError(t, lines.Close())
		assert.Empty(t, read(t, answer))
	}
}
