package retryhttp

import (
	"errors"
	"io"
	"net/http"
	"sync"
)

var (
	errNotReplayable = errors.New("retryhttp: the body of the request cannot be sent again")
	errAttemptOver   = errors.New("retryhttp: the attempt that sends this body is over")
)

// requestBody gives each attempt the same bytes. The transport further in may read the body
// of an attempt, in a goroutine of its own, for some time after that attempt: each attempt
// has a reader of its own, which ends when the next attempt begins.
type requestBody struct {
	source  io.ReadCloser // nil if there is none
	getBody func() (io.ReadCloser, error)
	limit   int64 // of what is kept

	seeker io.Seeker // if source can seek
	start  int64     // where the body begins in it

	reading  sync.Mutex // held while source is read
	mu       sync.Mutex // guards what follows
	kept     []byte     // what was read of a source that cannot seek, from offset on
	offset   int64      // in the body; 0 unless lost
	lost     bool       // more was read than may be kept, or source failed
	ended    error      // of source
	current  *attemptBody
	attempts int
	finished bool // there is no next attempt
}

func newRequestBody(r *http.Request, limit int64) *requestBody {
	if r.ContentLength > limit {
		limit = 0 // it would be kept in vain
	}
	b := &requestBody{source: r.Body, getBody: r.GetBody, limit: limit}
	if b.source == nil || b.source == http.NoBody {
		b.source = nil
		return b
	}
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

// next returns the body for the next attempt.
func (b *requestBody) next() (io.ReadCloser, error) {
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
	b.current = &attemptBody{body: b}
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
			b.source.Close()
		}
		return
	}
	b.mu.Lock()
	b.finished = true
	closing := b.current == nil || b.current.closed
	b.mu.Unlock()
	if closing {
		b.source.Close()
	}
}

// attemptBody is the body of one attempt.
type attemptBody struct {
	body   *requestBody
	pos    int64 // in the body; it is read by one goroutine
	closed bool  // guarded by body.mu
}

func (a *attemptBody) Read(p []byte) (int, error) {
	if a.body.seeker != nil {
		return a.readSeeker(p)
	}
	for {
		n, err, found := a.readKept(p)
		if found {
			return n, err
		}
		if n, err, read := a.readSource(p); read {
			return n, err
		}
	}
}

// over reports whether the attempt has no right to read any more. body.mu must be held.
func (a *attemptBody) over() bool { return a.closed || a.body.current != a }

// readSeeker reads from where the attempt stands, whatever was read by others.
func (a *attemptBody) readSeeker(p []byte) (int, error) {
	b := a.body
	b.reading.Lock()
	defer b.reading.Unlock()
	b.mu.Lock()
	over := a.over()
	b.mu.Unlock()
	if over {
		return 0, errAttemptOver
	}
	if _, err := b.seeker.Seek(b.start+a.pos, io.SeekStart); err != nil {
		return 0, err
	}
	n, err := b.source.Read(p)
	a.pos += int64(n)
	if failed(err) {
		b.mu.Lock()
		b.lost = true
		b.mu.Unlock()
	}
	return n, err
}

func failed(err error) bool { return err != nil && err != io.EOF } //nolint:errorlint // as readers have it

// readKept reads what is kept already, or tells that there will be no more.
func (a *attemptBody) readKept(p []byte) (n int, err error, found bool) { //nolint:revive // as in Read
	b := a.body
	b.mu.Lock()
	defer b.mu.Unlock()
	switch unread := b.kept[min(a.pos-b.offset, int64(len(b.kept))):]; {
	case a.over():
		return 0, errAttemptOver, true
	case len(unread) > 0:
		n = copy(p, unread)
		a.pos += int64(n)
		if b.lost { // nobody else will need it
			b.kept, b.offset = unread[n:], a.pos
		}
		return n, nil, true
	case b.ended != nil:
		return 0, b.ended, true
	}
	return 0, nil, len(p) == 0
}

// readSource reads more of source, and keeps it unless that is too much. Where the attempt is
// over by then it is there for the next one. It reads nothing if something has come in while
// it waited for another reader.
func (a *attemptBody) readSource(p []byte) (n int, err error, read bool) { //nolint:revive // as in Read
	b := a.body
	b.reading.Lock()
	defer b.reading.Unlock()
	b.mu.Lock()
	wait := a.over() || b.ended != nil || a.pos < b.offset+int64(len(b.kept))
	b.mu.Unlock()
	if wait {
		return 0, nil, false
	}
	n, err = b.source.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = err
	if !b.lost || a.over() {
		b.kept = append(b.kept, p[:n]...)
	}
	b.lost = b.lost || failed(err) || int64(len(b.kept)) > b.limit
	if a.over() {
		return 0, errAttemptOver, true
	}
	a.pos += int64(n)
	if b.lost {
		b.kept, b.offset = nil, a.pos
	}
	return n, err, true
}

// Close implements [io.Closer].
func (a *attemptBody) Close() error {
	b := a.body
	b.mu.Lock()
	closing := !a.closed && b.finished && b.current == a
	a.closed = true
	b.mu.Unlock()
	if closing {
		return b.source.Close()
	}
	return nil
}
