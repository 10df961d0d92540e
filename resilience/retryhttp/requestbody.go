package retryhttp

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/observable-go/toolkit/internal/clock"
)

var errNotReplayable = errors.New("retryhttp: the body of the request cannot be sent again")

// requestBody gives each attempt the same bytes. The transport further in may read the body
// of an attempt, in a goroutine of its own, for some time after that attempt: each attempt
// has a reader of its own, which ends when the next attempt begins.
//
// A source that cannot seek is read in a goroutine of its own, so that an attempt may end while
// the source blocks. What comes then is there for the next attempt. As for all transports the
// source may be closed after the call has returned, and is not read any more then: if it blocks
// still, it is closed when its Read returns.
type requestBody struct {
	source  io.ReadCloser // nil if there is none
	getBody func() (io.ReadCloser, error)
	limit   int64 // of what is kept

	seeker  io.Seeker  // if source can seek
	start   int64      // where the body begins in it
	seeking sync.Mutex // held while it is moved and read

	mu       sync.Mutex    // guards what follows
	kept     []byte        // what was read of a source that cannot seek, from offset on
	offset   int64         // in the body; 0 unless lost
	lost     bool          // more was read than may be kept, or source failed
	ended    error         // of source
	arrived  chan struct{} // closed when the Read of source that is under way returns; nil if none is
	chunk    []byte        // which it fills
	current  *attemptBody
	attempts int
	finished bool // there is no next attempt
	closing  bool // source is to be closed when its Read returns
}

// noBody is that of the requests without one. It has no state.
var noBody = new(requestBody)

func newRequestBody(r *http.Request, limit int64) *requestBody {
	if r.Body == nil || r.Body == http.NoBody {
		return noBody
	}
	if r.ContentLength > limit {
		limit = 0 // it would be kept in vain
	}
	b := &requestBody{source: r.Body, getBody: r.GetBody, limit: limit}
	if seeker, ok := b.source.(io.Seeker); ok && b.getBody == nil {
		if start, err := seeker.Seek(0, io.SeekCurrent); err == nil {
			b.seeker, b.start = seeker, start
		}
	}
	return b
}

// replayable reports whether another attempt can send all of the body.
func (b *requestBody) replayable() bool {
	if b.source == nil || b.getBody != nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.lost
}

// next returns the body for the next attempt, whose context is ctx.
func (b *requestBody) next(ctx context.Context) (io.ReadCloser, error) {
	if b.source == nil {
		return http.NoBody, nil
	}
	b.attempts++
	if b.getBody != nil {
		if b.attempts == 1 {
			return b.source, nil
		}
		return b.getBody()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lost {
		return nil, errNotReplayable
	}
	if b.current != nil {
		b.current.end()
	}
	b.current = &attemptBody{body: b, ctx: ctx, over: make(chan struct{})}
	return b.current, nil
}

// finish says that there is no next attempt. The source is closed with the body of the last
// one, which may still be on its way: an answer may come before all of the request is sent.
func (b *requestBody) finish() {
	if b.source == nil {
		return
	}
	if b.getBody != nil {
		if b.attempts == 0 {
			_ = b.source.Close()
		}
		return
	}
	b.mu.Lock()
	b.finished = true
	closing := b.current == nil || b.current.ended
	b.mu.Unlock()
	if closing {
		_ = b.closeSource()
	}
}

// closeSource closes the source, which nobody has a right to read any more.
func (b *requestBody) closeSource() error {
	b.seeking.Lock()
	defer b.seeking.Unlock()
	b.mu.Lock()
	b.closing = b.arrived != nil
	later := b.closing
	b.mu.Unlock()
	if later {
		return nil
	}
	return b.source.Close()
}

// wait returns what is closed when more of source has come. b.mu must be held.
func (b *requestBody) wait(size int) <-chan struct{} {
	if b.arrived == nil {
		b.arrived = make(chan struct{})
		clock.Go(nil, func() { b.readSource(size) })
	}
	return b.arrived
}

// readSource reads more of source.
func (b *requestBody) readSource(size int) {
	if len(b.chunk) < size {
		b.chunk = make([]byte, size)
	}
	n, err := b.source.Read(b.chunk[:size])
	b.mu.Lock()
	b.kept = append(b.kept, b.chunk[:n]...)
	b.ended = err
	b.lost = b.lost || failed(err) || int64(len(b.kept)) > b.limit
	close(b.arrived)
	b.arrived = nil
	closing := b.closing
	b.mu.Unlock()
	if closing {
		_ = b.source.Close()
	}
}

func failed(err error) bool { return err != nil && err != io.EOF } //nolint:errorlint // as readers have it
