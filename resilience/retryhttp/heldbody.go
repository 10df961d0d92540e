package retryhttp

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/observable-go/toolkit/internal/clock"
)

const (
	// holdLimit is how much of the answer to a failed attempt is read ahead, so that its
	// connection is free for the next one: 64 KiB.
	holdLimit = 64 << 10
	// discardTime bounds how long the next attempt waits for that.
	discardTime = 100 * time.Millisecond
)

var errDiscardTime = errors.New("retryhttp: the answer of a failed attempt took too long")

// A heldBody is the body of an answer that the caller gets if there is no further attempt. It
// is read ahead in the meantime: a connection with an answer that nobody reads is one that
// nobody else can use, for as long as the policy waits.
type heldBody struct {
	source  io.ReadCloser
	release context.CancelFunc // ends the request whose answer it is
	done    chan struct{}      // closed when nothing is read ahead any more

	mu     sync.Mutex
	ahead  []byte // what was read ahead and not yet by the caller
	more   sync.Cond
	over   bool  // done is closed
	err    error // of source, if it was read to its end
	closed bool
}

// hold returns body as one that is read ahead. release is called when it has been read or
// closed.
func hold(body io.ReadCloser, release context.CancelFunc) io.ReadCloser {
	if body == nil || body == http.NoBody {
		release()
		return body
	}
	b := &heldBody{source: body, release: release, done: make(chan struct{})}
	b.more.L = &b.mu
	clock.Go(nil, b.readAhead)
	return b
}

func (b *heldBody) readAhead() {
	chunk := make([]byte, 4<<10)
	for total := 0; total < holdLimit; {
		n, err := b.source.Read(chunk)
		total += n
		b.mu.Lock()
		b.ahead = append(b.ahead, chunk[:n]...)
		b.err = err
		stop := err != nil || b.closed
		b.more.Broadcast()
		b.mu.Unlock()
		if stop {
			break
		}
	}
	b.mu.Lock()
	b.over = true
	closing := b.closed || b.err != nil
	b.more.Broadcast()
	b.mu.Unlock()
	if closing {
		b.source.Close()
		b.release()
	}
	close(b.done)
}

// Read implements [io.Reader].
func (b *heldBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	for len(b.ahead) == 0 && !b.over && !b.closed && len(p) > 0 {
		b.more.Wait()
	}
	switch {
	case b.closed:
		b.mu.Unlock()
		return 0, http.ErrBodyReadAfterClose
	case len(b.ahead) > 0 || len(p) == 0:
		n := copy(p, b.ahead)
		b.ahead = b.ahead[n:]
		b.mu.Unlock()
		return n, nil
	case b.err != nil:
		b.mu.Unlock()
		return 0, b.err
	}
	b.mu.Unlock()
	return b.source.Read(p) // what is beyond the limit
}

// Close implements [io.Closer].
func (b *heldBody) Close() error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil
	}
	b.closed = true
	over, ended := b.over, b.err != nil
	b.more.Broadcast()
	b.mu.Unlock()
	switch {
	case ended:
		return nil // readAhead has closed it, or will
	case over:
		err := b.source.Close()
		b.release()
		return err
	}
	b.release() // which ends the Read that is under way, after which readAhead closes source
	return nil
}

// discard closes the body of an answer that nobody gets. What is read ahead may end within a
// short time, so that the connection can be used again.
func discard(ctx context.Context, body io.Closer) {
	if held, ok := body.(*heldBody); ok {
		limited, cancel := clock.WithTimeoutCause(ctx, nil, discardTime, errDiscardTime)
		defer cancel()
		select {
		case <-held.done:
		case <-limited.Done():
		}
	}
	body.Close()
}

// releaseAfter returns body such that release is called when it has been read or closed. What
// can be written to, as the connection after a change of protocols, still can.
func releaseAfter(body io.ReadCloser, release context.CancelFunc) io.ReadCloser {
	if body == nil || body == http.NoBody {
		release()
		return body
	}
	b := &releasingBody{ReadCloser: body, release: release}
	if w, ok := body.(io.Writer); ok {
		return &releasingConn{b, w}
	}
	return b
}

type releasingBody struct {
	io.ReadCloser
	release context.CancelFunc
}

func (b *releasingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.release()
	}
	return n, err
}

func (b *releasingBody) Close() error {
	defer b.release()
	return b.ReadCloser.Close()
}

// releasingConn is a connection: its end of reading is not yet that of writing.
type releasingConn struct {
	*releasingBody
	io.Writer
}

func (c *releasingConn) Read(p []byte) (int, error) { return c.ReadCloser.Read(p) }
