package retrygrpc

import (
	"io"

	"google.golang.org/protobuf/proto"
)

// SendMsg implements [grpc.ClientStream]. While the policy waits for the next attempt it waits
// too. Where the attempt has failed and another may be made it returns nil, as the message will
// be sent by that one.
func (s *stream) SendMsg(m any) error {
	a, err := s.current(func(a *streamAttempt) bool {
		if !a.replaying && !s.committed {
			s.sent.add(m)
		}
		return !a.replaying
	})
	if err != nil {
		return io.EOF // RecvMsg returns the error: that is the contract
	}
	err = a.SendMsg(m)
	if err == io.EOF && s.replaces(a) { //nolint:errorlint // as package grpc returns it
		return nil
	}
	return err
}

// CloseSend implements [grpc.ClientStream].
func (s *stream) CloseSend() error {
	a, err := s.current(func(a *streamAttempt) bool {
		s.sent.closed = s.sent.closed || !a.replaying
		return !a.replaying
	})
	if err != nil {
		return nil //nolint:nilerr // RecvMsg returns it: that is the contract
	}
	return a.CloseSend()
}

// replaces reports whether another attempt than a has sent, or may send, what a could not.
func (s *stream) replaces(a *streamAttempt) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.over && s.err != nil:
		return false
	case s.live != nil && s.live != a:
		return true
	}
	return s.repeatable && !s.committed && !s.sent.lost
}

// replayBuffer holds what was sent on a stream that has not begun.
type replayBuffer struct {
	limit    int
	single   bool // the stream has one request
	messages []any
	size     int
	closed   bool
	lost     bool // there was more than may be kept
}

// messageOverhead is what a message counts in addition to its size, so that empty ones count too.
const messageOverhead = 64

func (b *replayBuffer) add(m any) {
	if b.lost {
		return
	}
	message, known := m.(proto.Message)
	if known {
		b.size += proto.Size(message) + messageOverhead
	}
	if b.single || known && b.size <= b.limit {
		b.messages = append(b.messages, m)
		return
	}
	b.lost = true
	b.drop()
}

func (b *replayBuffer) drop() { b.messages = nil }
