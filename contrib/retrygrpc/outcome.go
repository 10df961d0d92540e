package retrygrpc

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/breaker"
	"github.com/observable-go/toolkit/resilience/retry"
)

// outcome returns the error of a call under ctx in the form that callers of package grpc expect:
// one in which status.FromError finds a status.
//
// Where the context ended the call, its code is that of the context, as everywhere in gRPC, and
// not that of the attempt before.
func outcome(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ended := ctx.Err(); ended != nil && errors.Is(err, ended) {
		return withCode(err, status.FromContextError(ended).Code())
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	return withCode(err, codeOf(err))
}

// codeOf returns the code for the error of a policy that has no status.
func codeOf(err error) codes.Code {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return codes.DeadlineExceeded
	case errors.Is(err, context.Canceled):
		return codes.Canceled
	case errors.Is(err, breaker.ErrOpen), gaveUp(err):
		return codes.Unavailable
	case resilience.Classify(err) == resilience.ClassRefused:
		return codes.ResourceExhausted // a bulkhead, a rate limit and the like
	}
	return codes.Unknown
}

// gaveUp reports whether a retry policy gave up.
func gaveUp(err error) bool {
	_, ok := errors.AsType[*retry.Error](err)
	return ok
}

// withCode returns err with a status of this code.
func withCode(err error, code codes.Code) error {
	if s, known := status.FromError(err); known && s.Code() == code {
		return err
	}
	return &coded{err, status.New(code, err.Error())}
}

// coded is an error with a status of its own.
type coded struct {
	err    error
	status *status.Status
}

func (c *coded) Error() string              { return c.err.Error() }
func (c *coded) Unwrap() error              { return c.err }
func (c *coded) GRPCStatus() *status.Status { return c.status }
