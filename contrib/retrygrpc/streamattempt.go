package retrygrpc

import (
	"context"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/resilience"
)

// streamAttempt is one opening of a stream. Its fields are guarded by the lock of the stream.
type streamAttempt struct {
	grpc.ClientStream

	ctx    context.Context
	cancel context.CancelFunc
	answer answer

	receive   sync.Mutex // held while a message is received
	receiving bool       // the caller waits for a message
	replaying bool       // what the attempt before had sent is not all sent yet
	err       error      // why it failed before it had begun
	finished  bool       // package grpc is done with it, and its answer is complete
	endErr    error      // with which
}

// RecvMsg receives for one goroutine at a time, as a Header that finds none receives too.
func (a *streamAttempt) RecvMsg(m any) error {
	a.receive.Lock()
	defer a.receive.Unlock()
	return a.ClientStream.RecvMsg(m)
}

// attempt opens the stream, and waits until it has begun or failed. It is the operation of the
// policy.
func (s *stream) attempt(ctx context.Context) error {
	if s.hasBegun() {
		return nil // the policy repeats what has succeeded
	}
	a := new(streamAttempt)
	a.ctx, a.cancel = resilience.Retain(s.client.outgoing(ctx))
	begun := false
	defer func() {
		if !begun {
			a.cancel()
		}
	}()
	opened, err := s.open(a.ctx, append(s.options.of(&a.answer), grpc.OnFinish(func(err error) { s.ended(a, err) })))
	if err != nil {
		s.note(func() { s.last = nil })
		return s.judge(ctx, a, err)
	}
	a.ClientStream = opened
	s.begin(a)
	if err := s.await(ctx, a); err != nil {
		return s.judge(ctx, a, err)
	}
	begun = true
	return nil
}

// begin makes a the attempt that the caller's goroutines use, and sends what was sent before. It
// does not wait for that: a server may want its answers to be read before it reads on.
func (s *stream) begin(a *streamAttempt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live, s.last = a, a
	if messages, closed := s.sent.messages, s.sent.closed; len(messages) > 0 || closed {
		a.replaying = true
		clock.Go(nil, func() { s.replay(a, messages, closed) })
	}
	s.changed.Broadcast()
}

// replay sends to a what was sent to the attempt before. What goes wrong is found out by
// receiving.
func (s *stream) replay(a *streamAttempt, messages []any, closed bool) {
	defer s.note(func() { a.replaying = false })
	for _, m := range messages {
		if a.SendMsg(m) != nil {
			return
		}
	}
	if closed {
		_ = a.CloseSend() // always nil
	}
}

// await waits until it is known what becomes of a. It returns nil if the stream has begun.
func (s *stream) await(ctx context.Context, a *streamAttempt) error {
	defer context.AfterFunc(ctx, func() { s.note(func() {}) })()
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.committed && a.err == nil {
		switch {
		case ctx.Err() != nil:
			s.fail(a, status.FromContextError(ctx.Err()).Err())
		case a.finished && !a.receiving:
			// Nobody receives, so nobody else will tell: the connection was closed, or
			// the caller sent what cannot be sent.
			if a.endErr == nil {
				s.commit()
				return nil
			}
			s.fail(a, a.endErr)
		default:
			s.changed.Wait()
		}
	}
	s.changed.Broadcast()
	if s.committed {
		return nil
	}
	return a.err
}

// ended is called by package grpc when it is done with an attempt.
func (s *stream) ended(a *streamAttempt, err error) {
	a.cancel()
	s.mu.Lock()
	a.finished, a.endErr = true, err
	begun := s.committed && s.live == a
	s.changed.Broadcast()
	s.mu.Unlock()
	if begun {
		s.finish(a, err)
	}
}

// judge returns what the policy is told of an attempt that failed.
func (s *stream) judge(ctx context.Context, a *streamAttempt, err error) error {
	if ended := ctx.Err(); ended != nil && status.Code(err) == codes.Canceled {
		err = status.FromContextError(ended).Err() // its stream was cancelled because of that
	}
	failure := s.client.failed(ctx, err, s.answerOf(a))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failure, s.told = failure, nil
	if s.repeatable && !s.sent.lost {
		return failure
	}
	s.told = final(failure)
	return s.told
}

// answerOf returns the answer of an attempt, which is empty as long as package grpc may still
// write to it.
func (s *stream) answerOf(a *streamAttempt) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !a.finished {
		return new(answer)
	}
	return &a.answer
}
