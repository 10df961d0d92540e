package vectorstore

import (
	"context"
	"errors"

	"github.com/qdrant/go-client/qdrant"
	"google.golang.org/grpc"

	"github.com/observable-go/toolkit/resilience"
)

// answer is what package retrygrpc has made of the failure of an attempt. The client of Qdrant
// puts a [*qdrant.QdrantResourceExhaustedError] in the place of some, which has neither the
// status nor a word on repetitions: its interceptor stands outside of ours.
type answer struct{ err error }

type answerKey struct{}

// listen is an interceptor that keeps the answer for the attempt that asked for it.
func listen(
	ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
) error {
	err := invoke(ctx, method, req, reply, cc, opts...)
	if a, ok := ctx.Value(answerKey{}).(*answer); ok {
		a.err = err
	}
	return err
}

// failure returns err, which the client of Qdrant returned, with what was lost on the way to it.
func (a *answer) failure(err error) error {
	if err == nil || a.err == nil || errors.Is(err, a.err) {
		return err
	}
	err = &replaced{err, a.err}
	if limited, ok := errors.AsType[*qdrant.QdrantResourceExhaustedError](err); ok && limited.RetryAfterS == 0 {
		return resilience.RetryAfter(err, 0) // it named no time: the policy has its own delay
	}
	return err
}

// replaced is the error of the client of Qdrant together with that in whose place it stands.
type replaced struct{ by, original error }

func (r *replaced) Error() string   { return r.by.Error() }
func (r *replaced) Unwrap() []error { return []error{r.by, r.original} }
