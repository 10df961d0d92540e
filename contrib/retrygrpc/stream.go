package retrygrpc

import (
	"context"
	"io"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/observable-go/toolkit/internal/clock"
)

// Stream is a [grpc.StreamClientInterceptor], for streams of all kinds.
//
// The operation of the policy begins with the opening of the stream and ends with the first
// message that is received, or with the end of a stream without any: until then an attempt that
// fails is made again, with all that was sent so far. What fails later is returned as it is, as
// the caller has seen a part of the answer. See [WithReplayLimit] for what is kept.
//
// The policy runs in a goroutine of its own, which ends with the operation. An attempt timeout
// bounds the time up to the first message, and does not end the stream after it.
//
// As for any stream, the caller must receive until there is an error, or end ctx, or close the
// connection. A message must not be changed after it was sent.
func (c *Client) Stream(
	ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	sorted := sortOptions(opts)
	policy := c.policyOf(method, sorted)
	s := &stream{
		client: c, caller: ctx, options: sorted, repeatable: policy != nil && c.repeatable(method, sorted),
		sent: replayBuffer{limit: c.replayLimit, single: !desc.ClientStreams},
		open: func(ctx context.Context, opts []grpc.CallOption) (grpc.ClientStream, error) {
			return streamer(ctx, desc, cc, method, opts...)
		},
	}
	s.changed.L = &s.mu
	clock.Go(nil, func() { s.run(func() error { return do(ctx, policy, s.attempt) }) })
	if _, err := s.current(func(*streamAttempt) bool { return true }); err != nil {
		return nil, err
	}
	return s, nil
}

// stream is a stream with its attempts. The policy's goroutine opens them and waits for what
// becomes of them; the caller's goroutines send, and receive, and so find out.
type stream struct {
	client     *Client
	caller     context.Context
	options    *callOptions
	repeatable bool
	open       func(ctx context.Context, opts []grpc.CallOption) (grpc.ClientStream, error)

	mu        sync.Mutex
	changed   sync.Cond      // any of these
	live      *streamAttempt // nil before the first and between two
	last      *streamAttempt // that was opened
	sent      replayBuffer
	committed bool  // the live attempt is the last
	over      bool  // the policy's call has returned
	err       error // of the call, once it is over
	panicked  any   // in the policy's goroutine
	failure   error // the last one
	told      error // the failure as the policy was told of it, if that is another error
	finished  bool  // the caller's options were told
}

// run makes the call.
func (s *stream) run(call func() error) {
	err := errNotSent
	returned := false
	defer func() {
		var panicked any
		if !returned {
			panicked = recover() // to go on in the caller's goroutine
		}
		s.end(err, panicked)
	}()
	err = call()
	returned = true
}

// end notes what became of the call, once the caller's options were told.
func (s *stream) end(err error, panicked any) {
	s.mu.Lock()
	switch {
	case s.committed && err == nil:
	case err == nil && s.failure == nil:
		err = errNotSent
	case err == nil, err == s.told: //nolint:errorlint // the very value: nobody wrapped it
		err = s.failure
	}
	err = outcome(s.caller, err)
	abandoned, last := s.live, s.last
	if err != nil {
		s.live = nil
	}
	s.mu.Unlock()
	if err != nil {
		if abandoned != nil {
			abandoned.cancel()
		}
		s.finish(last, err)
	}
	s.note(func() { s.over, s.err, s.panicked = true, err, panicked })
}

// current waits for an attempt that use, under the lock, reports to have taken. It returns the
// error of the call if there is none any more.
func (s *stream) current(use func(a *streamAttempt) bool) (*streamAttempt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.panicked != nil:
			panic(s.panicked)
		case s.over && s.err != nil:
			return nil, s.err
		case s.live != nil && use(s.live):
			return s.live, nil
		}
		s.changed.Wait()
	}
}

// toReceive is how receiving uses an attempt: it will tell what becomes of it.
func toReceive(a *streamAttempt) bool {
	a.receiving = true
	return true
}

// RecvMsg implements [grpc.ClientStream].
func (s *stream) RecvMsg(m any) error {
	for repeated := false; ; repeated = true {
		a, err := s.current(toReceive)
		if err != nil {
			return err
		}
		if repeated {
			reset(m)
		}
		err = a.RecvMsg(m)
		if final, result := s.received(a, err); final {
			return result
		}
	}
}

// received takes the result of receiving from an attempt, and returns what the caller gets,
// unless another attempt is to be made.
func (s *stream) received(a *streamAttempt, err error) (final bool, result error) {
	s.mu.Lock()
	a.receiving = false
	a.finished = a.finished || err != nil
	s.changed.Broadcast()
	committed := s.committed
	switch {
	case committed, a.err != nil:
	case err == nil || err == io.EOF: //nolint:errorlint // as package grpc returns it
		s.commit()
	default:
		s.fail(a, err)
	}
	lost := a.err != nil
	s.mu.Unlock()
	switch {
	case lost:
		return false, nil //nolint:nilerr // of an attempt that is given up
	case !committed:
		return true, s.begun(a, err)
	case err == nil:
		return true, nil
	case err == io.EOF: //nolint:errorlint // as package grpc returns it
		s.finish(a, nil)
		return true, err
	}
	a.cancel()
	s.finish(a, err)
	return true, s.client.failed(s.caller, err, s.answerOf(a))
}

// begun waits until the policy knows that the stream has begun, and returns err, with which the
// first receiving ended, or why the policy makes a failure of it.
func (s *stream) begun(a *streamAttempt, err error) error {
	s.mu.Lock()
	for !s.over {
		s.changed.Wait()
	}
	failure, finished := s.err, a.finished
	s.mu.Unlock()
	switch {
	case failure != nil:
		return failure
	case finished: // a stream without messages
		s.finish(a, a.endErr)
	case a.ctx.Err() != nil && s.caller.Err() == nil:
		// The attempt's time was over just before it had begun.
		return status.Error(codes.DeadlineExceeded, context.Cause(a.ctx).Error())
	}
	return err
}

// Header implements [grpc.ClientStream]. Headers that it has returned are those of the stream:
// no attempt is repeated after that.
func (s *stream) Header() (metadata.MD, error) {
	for {
		a, err := s.current(toReceive)
		if err != nil {
			return nil, nil //nolint:nilerr,nilnil // RecvMsg returns it: that is the contract
		}
		header, err := a.Header()
		if header == nil && err == nil && !s.hasBegun() {
			// It ended without headers, so there is no message, and receiving tells why.
			err = a.RecvMsg(new(emptypb.Empty))
		}
		final, result := s.received(a, err)
		switch {
		case !final:
			continue
		case header == nil && result != nil:
			return nil, nil //nolint:nilerr,nilnil // as above
		}
		return header, result
	}
}

// hasBegun reports whether the stream has begun.
func (s *stream) hasBegun() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.committed
}

// Trailer implements [grpc.ClientStream].
func (s *stream) Trailer() metadata.MD {
	s.mu.Lock()
	a := s.last
	s.mu.Unlock()
	if a == nil {
		return nil
	}
	return a.Trailer()
}

// Context implements [grpc.ClientStream]. Before the first message it is the caller's context.
func (s *stream) Context() context.Context {
	s.mu.Lock()
	a := s.live
	committed := s.committed
	s.mu.Unlock()
	if a == nil || !committed {
		return s.caller
	}
	return a.Context()
}

// commit notes that the live attempt is the last. s.mu is locked.
func (s *stream) commit() {
	s.committed = true
	s.sent.drop()
}

// fail notes that an attempt failed. s.mu is locked.
func (s *stream) fail(a *streamAttempt, err error) {
	a.err = err
	if s.live == a {
		s.live = nil
	}
}

// note changes something under the lock.
func (s *stream) note(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	s.changed.Broadcast()
}

// finish tells the caller's options, once, how the call ended, and what a was told.
func (s *stream) finish(a *streamAttempt, err error) {
	s.mu.Lock()
	told := s.finished
	s.finished = true
	if !told && a != nil && a.finished {
		s.options.fill(&a.answer)
	}
	s.mu.Unlock()
	if !told {
		s.options.finish(err)
	}
}
