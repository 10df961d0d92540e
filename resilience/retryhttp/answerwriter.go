package retryhttp

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"

	"github.com/observable-go/toolkit/internal/layers"
)

// An answerWriter adds to the header of an answer, at the last moment, that the request must
// not be repeated.
type answerWriter struct {
	http.ResponseWriter
	gaveUp func() bool // nil: it is not told
	status int         // 0 until it is known; 101 if the connection was taken over
}

func (w *answerWriter) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
		failed := status >= http.StatusInternalServerError || transient[status]
		if failed && w.gaveUp != nil && w.gaveUp() {
			w.Header().Set(layers.ShouldRetry, layers.NoRetry)
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *answerWriter) Write(p []byte) (int, error) {
	w.begin()
	return w.ResponseWriter.Write(p)
}

// WriteString is for [io.WriteString].
func (w *answerWriter) WriteString(s string) (int, error) {
	w.begin()
	return io.WriteString(w.ResponseWriter, s)
}

// begin notes that the answer begins without a status of its own.
func (w *answerWriter) begin() {
	if w.status == 0 {
		w.status = http.StatusOK
	}
}

// Unwrap is for [http.ResponseController].
func (w *answerWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// failure returns what the answer says to a policy, or what became of it where nothing was
// answered as ctx ended.
func (w *answerWriter) failure(ctx context.Context) error {
	switch {
	case w.status == 0:
		return ctx.Err()
	case w.status < http.StatusInternalServerError:
		return nil
	}
	return &StatusError{StatusCode: w.status, Header: w.Header(), retryable: transient[w.status]}
}

// as returns w as what the writer of the server is: that of HTTP/1 can flush, be taken over and
// read from a file, that of HTTP/2 can flush and push.
func (w *answerWriter) as(server http.ResponseWriter) http.ResponseWriter {
	_, flushes := server.(http.Flusher)
	hijacker, hijacks := server.(http.Hijacker)
	pusher, pushes := server.(http.Pusher)
	switch {
	case flushes && hijacks:
		return &http1Writer{flushingWriter{w}, hijacker}
	case flushes && pushes:
		return &http2Writer{flushingWriter{w}, pusher}
	case flushes:
		return &flushingWriter{w}
	}
	return w
}

type flushingWriter struct{ *answerWriter }

func (w *flushingWriter) Flush() { _ = w.FlushError() }

// FlushError is for [http.ResponseController].
func (w *flushingWriter) FlushError() error {
	w.begin()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

type http1Writer struct {
	flushingWriter
	hijacker http.Hijacker
}

func (w *http1Writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := w.hijacker.Hijack()
	if err == nil && w.status == 0 {
		w.status = http.StatusSwitchingProtocols // or whatever is spoken on conn from now on
	}
	return conn, buffered, err
}

func (w *http1Writer) ReadFrom(r io.Reader) (int64, error) {
	n, err := io.Copy(w.ResponseWriter, r)
	if n > 0 { // nothing begins no answer
		w.begin()
	}
	return n, err
}

type http2Writer struct {
	flushingWriter
	http.Pusher
}
