package retrygrpc

import (
	"context"
	"errors"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/resilience"
)

// permanentCodes say that the callee did its part and that the next attempt would end no
// better. The others that are not repeated say nothing of the kind: circuit breakers count them
// against the callee.
var permanentCodes = map[codes.Code]bool{
	codes.Canceled:           true,
	codes.InvalidArgument:    true,
	codes.NotFound:           true,
	codes.AlreadyExists:      true,
	codes.PermissionDenied:   true,
	codes.FailedPrecondition: true,
	codes.Aborted:            true,
	codes.OutOfRange:         true,
	codes.Unimplemented:      true,
	codes.Unauthenticated:    true,
}

// failed returns what the policy is told of an attempt under ctx that ended with err.
func (c *Client) failed(ctx context.Context, err error, a *answer) error {
	if err == nil {
		return nil
	}
	s, known := status.FromError(err)
	if !known {
		return err // of another interceptor: it speaks for itself
	}
	f := &failure{err: err, status: s, ended: endedBy(ctx, s.Code())}
	f.after, _ = pushback(s, a)
	if !c.ignoreShouldRetry && refuses(a) {
		resilience.NoteGaveUp(ctx)
		return &refusal{f, c.classified(f)}
	}
	return c.classified(f)
}

// classified returns f with its class, which is none for a *failure.
func (c *Client) classified(f *failure) error {
	switch code := f.status.Code(); {
	case c.codes[code], code == codes.ResourceExhausted && f.after > 0, code == codes.DeadlineExceeded && f.ended != nil:
		return &retryable{f}
	case permanentCodes[code], f.tooLarge():
		return &permanent{f}
	}
	return f
}

// slack is how much earlier than the client a server may find that the time of a call is over:
// both have timers of their own.
const slack = 20 * time.Millisecond

// endedBy returns the error of the context that made an attempt end with a code, or nil if none
// did.
func endedBy(ctx context.Context, c codes.Code) error {
	deadline, bounded := ctx.Deadline()
	switch {
	case c == codes.Canceled && ctx.Err() != nil:
		return context.Canceled
	case c != codes.DeadlineExceeded:
		return nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded), bounded && clock.Until(nil, deadline) <= slack:
		return context.DeadlineExceeded
	}
	return nil
}

// failure is the failure of an attempt. It looks like the error of package grpc that it wraps.
type failure struct {
	err    error
	status *status.Status
	ended  error         // of the context that ended the attempt, or nil
	after  time.Duration // that the server asked to wait; 0 if it did not
}

func (f *failure) Error() string { return f.err.Error() }

// GRPCStatus is for package status, which takes the message from it as the server sent it.
func (f *failure) GRPCStatus() *status.Status { return f.status }

func (f *failure) Unwrap() []error {
	if f.ended == nil {
		return []error{f.err}
	}
	return []error{f.err, f.ended}
}

// ErrorType returns the name of the code as the protocol has it, such as "UNAVAILABLE": what
// OpenTelemetry's conventions for RPC ask for.
func (f *failure) ErrorType() string {
	c := f.status.Code()
	if c > codes.Unauthenticated {
		c = codes.Unknown // anything may come over the wire
	}
	return code.Code(c).String()
}

// Throttled reports whether the server asked for fewer calls.
func (f *failure) Throttled() bool {
	return f.after > 0 || f.status.Code() == codes.ResourceExhausted && !f.tooLarge()
}

// tooLarge reports whether a message had more bytes than either side allows, which has the code
// of a server that is asked too often.
func (f *failure) tooLarge() bool {
	return f.status.Code() == codes.ResourceExhausted && strings.Contains(f.status.Message(), "larger than max")
}

// retryable is a failure that is to be repeated.
type retryable struct{ *failure }

func (*retryable) Retryable() bool                     { return true }
func (r *retryable) RetryAfter() (time.Duration, bool) { return r.after, r.after > 0 }

// permanent is a failure that is not to be repeated, unless the policy knows better.
type permanent struct{ *failure }

func (*permanent) Retryable() bool { return false }

// A refusal is a failure of which the server says that it must not be repeated.
type refusal struct {
	*failure

	real error // the failure by itself
}

func (*refusal) Refused() bool        { return true }
func (r *refusal) LastFailure() error { return r.real }

// final marks a failure as one that must not be repeated, although it may pass: policies that
// judge the callee take it for what it is. The caller gets the failure without the mark.
func final(failure error) error { return resilience.Permanent(&unrepeatable{failure}) }

type unrepeatable struct{ failure error }

func (e *unrepeatable) Error() string      { return e.failure.Error() }
func (e *unrepeatable) Unwrap() error      { return e.failure }
func (e *unrepeatable) LastFailure() error { return e.failure }
