package retryhttp

import (
	"context"
	"errors"
	"io"
)

var errAttemptOver = errors.New("retryhttp: the attempt that sends this body is over")

// attemptBody is the body of one attempt.
type attemptBody struct {
	body *requestBody
	ctx  context.Context // of the attempt
	over chan struct{}   // closed when the attempt has no right to read any more

	// Guarded by body.mu.
	pos    int64 // in the body
	ended  bool  // over is closed
	closed bool
}

// end takes from the attempt the right to read. body.mu must be held.
func (a *attemptBody) end() {
	if !a.ended {
		a.ended = true
		close(a.over)
	}
}

// Read implements [io.Reader]. It ends with the attempt, also while the source blocks.
func (a *attemptBody) Read(p []byte) (int, error) {
	if a.body.seeker != nil {
		return a.readSeeker(p)
	}
	for {
		n, err, more := a.readKept(p)
		if more == nil {
			return n, err
		}
		select {
		case <-more:
		case <-a.over:
		case <-a.ctx.Done():
			return 0, context.Cause(a.ctx)
		}
	}
}

// readSeeker reads from where the attempt stands, whatever was read by others.
func (a *attemptBody) readSeeker(p []byte) (int, error) {
	b := a.body
	b.seeking.Lock()
	defer b.seeking.Unlock()
	b.mu.Lock()
	ended, pos := a.ended, a.pos
	b.mu.Unlock()
	if ended {
		return 0, errAttemptOver
	}
	if _, err := b.seeker.Seek(b.start+pos, io.SeekStart); err != nil {
		return 0, err
	}
	n, err := b.source.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	a.pos += int64(n)
	b.lost = b.lost || failed(err)
	return n, err
}

// readKept reads what is kept already, or tells that there will be no more, or else returns
// what is closed when there is more.
func (a *attemptBody) readKept(p []byte) (n int, err error, more <-chan struct{}) { //nolint:revive,staticcheck // as in Read, and more
	b := a.body
	b.mu.Lock()
	defer b.mu.Unlock()
	if a.ended { // and maybe behind what is kept
		return 0, errAttemptOver, nil
	}
	switch unread := b.kept[a.pos-b.offset:]; {
	case len(unread) > 0:
		n = copy(p, unread)
		a.pos += int64(n)
		if b.lost { // nobody else will need it
			b.kept, b.offset = append(b.kept[:0], unread[n:]...), a.pos
		}
		return n, nil, nil
	case b.ended != nil:
		return 0, b.ended, nil
	case len(p) == 0:
		return 0, nil, nil
	}
	return 0, nil, b.wait(len(p))
}

// Close implements [io.Closer].
func (a *attemptBody) Close() error {
	b := a.body
	b.mu.Lock()
	closing := !a.closed && b.finished && b.current == a
	a.closed = true
	a.end()
	b.mu.Unlock()
	if closing {
		return b.closeSource()
	}
	return nil
}
