package generation

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/observable-go/toolkit/internal/clock"
)

// maxFirstEvent bounds how much of a stream is read in search of its first event.
const maxFirstEvent = 1 << 20

// stream waits for the first event of a stream, within the attempt, and returns an answer
// whose body still has it. An event that is an error is a failure of the attempt.
func (a attempts) stream(req *http.Request, res *http.Response, cancel context.CancelFunc) (*http.Response, error) {
	read, data, err := firstEvent(bufio.NewReader(res.Body), maxFirstEvent)
	if _, _, failed := report(data); failed {
		err = insideError(data, streamError(data))
	} else if errors.Is(err, errNoEvent) && mediaType(res.Header.Get("Content-Type")) != "text/event-stream" {
		err = &malformed{what: "it is no stream"}
	}
	if err != nil {
		_ = res.Body.Close()
		cancel()
		return nil, err
	}
	body := &eventBody{
		Reader: io.MultiReader(read...), body: res.Body, cancel: cancel, idle: a.idle,
		marked: endsMarked(req),
	}
	res.Body = body
	return res, nil
}

// endsMarked reports whether a stream in answer to a request has a mark of its end: only the
// completions promise one.
func endsMarked(req *http.Request) bool { return strings.HasSuffix(req.URL.Path, "/completions") }

// streamKey is the context key of what is set if a request asks for the stream of a completion. Not
// all servers call that text/event-stream, and the official client reads it all the same.
type streamKey struct{}

func withStream(ctx context.Context) context.Context {
	return context.WithValue(ctx, streamKey{}, true)
}

func asksForStream(ctx context.Context) bool { return ctx.Value(streamKey{}) != nil }

// firstEvent reads a stream up to the end of its first event that has data. It returns
// readers of the whole stream, and the data. A stream that ends before is cut, and the data is
// all of it: it may be an answer of another kind.
//
// The format is that of server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html
func firstEvent(stream *bufio.Reader, limit int) (whole []io.Reader, data []byte, err error) {
	var read bytes.Buffer
	var line []byte
	for read.Len() < limit { // what begins with more than that is left to the client
		piece, err := stream.ReadSlice('\n')
		read.Write(piece)
		line = append(line, piece...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF):
			return nil, read.Bytes(), errNoEvent
		case err != nil:
			return nil, nil, fmt.Errorf("generation: the stream broke before its first event: %w", transportError(err))
		}
		text := bytes.TrimRight(line, "\r\n")
		if len(text) == 0 && data != nil {
			break
		}
		if value, ok := bytes.CutPrefix(text, []byte("data:")); ok {
			data = append(append(data, bytes.TrimPrefix(value, []byte(" "))...), '\n')
		}
		line = line[:0]
	}
	return []io.Reader{&read, stream}, data, nil
}

// errNoEvent is the error of a stream that ends before it has begun.
var errNoEvent = fmt.Errorf("generation: the stream ended before its first event: %w", io.ErrUnexpectedEOF)

// eventBody is the body of a stream. It tells an end that is marked from one that is cut, and
// bounds how long the stream may be silent.
type eventBody struct {
	io.Reader // what was read already, and the rest of body

	body   io.ReadCloser
	cancel context.CancelFunc
	marked bool // its end is marked
	silent atomic.Bool

	reading sync.Mutex // for what follows, and for the Reader
	end     endMark
	idle    time.Duration
}

// Read implements [io.Reader].
func (b *eventBody) Read(p []byte) (n int, err error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	n, err = b.read(p)
	b.end.see(p[:n])
	switch {
	case err == nil:
	case b.silent.Load():
		err = &idleError{b.idle}
	case errors.Is(err, io.EOF) && b.marked && !b.end.seen:
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (b *eventBody) read(p []byte) (int, error) {
	if b.idle <= 0 {
		return b.Reader.Read(p)
	}
	limited, stop := clock.WithTimeoutCause(context.Background(), nil, b.idle, context.DeadlineExceeded)
	defer stop()
	defer context.AfterFunc(limited, func() {
		b.silent.Store(true)
		b.cancel()
	})()
	return b.Reader.Read(p)
}

// restTime bounds the wait for the rest of a stream behind the mark of its end.
const restTime = 100 * time.Millisecond

// Close implements [io.Closer]. It ends the request if that is still under way. Where the
// stream has come to its mark it reads what is left of it, so that the connection can be used
// again. Another goroutine may be reading, as from any body of net/http.
func (b *eventBody) Close() error {
	if b.atEnd() {
		_, _ = io.CopyN(io.Discard, b, maxRest)
	}
	b.cancel() // first: net/http would wait for more of a body that is only closed
	return b.body.Close()
}

// atEnd reports whether the stream has come to its mark and nobody reads it, and bounds the
// time that the rest may take.
func (b *eventBody) atEnd() bool {
	if !b.reading.TryLock() {
		return false
	}
	defer b.reading.Unlock()
	if b.end.seen {
		b.idle = restTime
	}
	return b.end.seen
}

// maxRest bounds how much is read behind the mark.
const maxRest = 4 << 10

// An idleError says that a stream was silent for too long.
type idleError struct{ after time.Duration }

func (e *idleError) Error() string { return fmt.Sprintf("nothing came for %v", e.after) }
func (*idleError) Timeout() bool   { return true }
func (*idleError) Unwrap() error   { return context.DeadlineExceeded }

// endMark looks in a stream that comes in pieces for the line that marks its end, as the official client
// takes it: "data: [DONE]".
type endMark struct {
	seen bool
	line []byte // the beginning of the current line
}

// maxMark is how much of a line is needed.
const maxMark = len("data: [DONE]")

func (m *endMark) see(piece []byte) {
	for len(piece) > 0 && !m.seen {
		line, rest, ended := bytes.Cut(piece, []byte("\n"))
		m.line = append(m.line, line[:min(len(line), maxMark-len(m.line))]...)
		if value, ok := bytes.CutPrefix(m.line, []byte("data:")); ok {
			m.seen = bytes.HasPrefix(bytes.TrimPrefix(value, []byte(" ")), []byte("[DONE]"))
		}
		if ended {
			m.line = m.line[:0]
		}
		piece = rest
	}
}
