package retryhttp

import (
	"context"
	"errors"
	"io"
	"maps"
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
	answer  *http.Response // with the trailer that package net/http fills in
	mine    *http.Response // with the one that the caller sees
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

// hold returns answer with a body that is read ahead. release is called when that has been
// read or closed.
//
// The trailer of the result is one of its own: the caller may look at it before the end of
// the body, at which it is filled in.
func hold(answer *http.Response, release context.CancelFunc) *http.Response {
	if answer.Body == nil || answer.Body == http.NoBody {
		release()
		return answer
	}
	mine := *answer
	mine.Trailer = answer.Trailer.Clone()
	b := &heldBody{answer: answer, mine: &mine, source: answer.Body, release: release, done: make(chan struct{})}
	b.more.L = &b.mu
	mine.Body = b
	clock.Go(nil, b.readAhead)
	return &mine
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
		_ = b.source.Close()
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
		b.takeTrailer()
		return 0, b.err
	}
	b.mu.Unlock()
	n, err := b.source.Read(p) // what is beyond the limit
	if err != nil {
		b.takeTrailer()
		b.release()
	}
	return n, err
}

// takeTrailer fills in the trailer of the caller's answer. The body has been read to its end.
func (b *heldBody) takeTrailer() {
	if b.mine.Trailer == nil {
		b.mine.Trailer = b.answer.Trailer
		return
	}
	maps.Copy(b.mine.Trailer, b.answer.Trailer)
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
		return nil //nolint:nilerr // Read tells of it; readAhead has closed source, or will
	case over:
		err := b.source.Close()
		b.release()
		return err
	}
	b.release() // which ends the Read that is under way, after which readAhead closes source
	return nil
}

// discard closes the body of an answer that nobody gets. What is read ahead may end within a
// short time, so that the connection can be used again: that may take a quarter of the time of
// ctx, as the rest is for the attempt that comes.
func discard(ctx context.Context, body io.Closer) {
	if body == nil {
		return
	}
	if held, ok := body.(*heldBody); ok {
		limit := discardTime
		if deadline, ok := ctx.Deadline(); ok {
			limit = min(limit, clock.Until(nil, deadline)/4)
		}
		limited, cancel := clock.WithTimeoutCause(ctx, nil, limit, errDiscardTime)
		defer cancel()
		select {
		case <-held.done:
		case <-limited.Done():
		}
	}
	_ = body.Close()
}
