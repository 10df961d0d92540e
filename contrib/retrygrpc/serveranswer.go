package retrygrpc

import (
	"context"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/observable-go/toolkit/resilience"
)

var errNotServed = status.Error(codes.Internal, "retrygrpc: the guard has neither called the handler nor returned an error")

// judged returns what a guard is told of the error of a handler: a breaker is not to open
// because callers ask for what does not exist.
func judged(err error) error {
	if s, known := status.FromError(err); known && permanentCodes[s.Code()] {
		return &permanent{&failure{err: err, status: s}}
	}
	return err
}

// answerable returns the error of a handler in a form that package grpc makes a sensible status
// of: a handler may return what a client or a policy told it. What has a status keeps it.
func answerable(ctx context.Context, err error) error {
	if _, known := status.FromError(err); known {
		return err
	}
	if gaveUp(err) || resilience.Classify(err) == resilience.ClassRefused || ctx.Err() != nil {
		return withCode(err, codeOf(err))
	}
	return err
}

// refused returns the error with which a call is answered that the guard refused.
func refused(err error, setTrailer func(metadata.MD) error) error {
	if _, known := status.FromError(err); known {
		return err
	}
	s := status.New(codeOf(err), err.Error())
	if after, known := resilience.Pushback(err); known {
		if detailed, failed := s.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(after)}); failed == nil {
			s = detailed
		}
		// The status says the same to those who read it.
		_ = setTrailer(metadata.Pairs(pushbackKey, strconv.FormatInt(millisUp(after), 10)))
	}
	return &coded{err, s}
}

// millisUp returns the milliseconds after which d is over.
func millisUp(d time.Duration) int64 {
	ms := d.Milliseconds()
	if d > time.Duration(ms)*time.Millisecond {
		ms++
	}
	return ms
}
