package retrygrpc_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/observable-go/toolkit/contrib/retrygrpc"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/breaker"
	"github.com/observable-go/toolkit/resilience/retry"
)

func TestStatusStaysWhole(t *testing.T) {
	t.Parallel()
	detailed, err := status.New(codes.Unavailable, "down").WithDetails(&errdetails.ErrorInfo{Reason: "MAINTENANCE"})
	require.NoError(t, err)
	s := &service{unary: func(context.Context, int, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		return nil, detailed.Err()
	}}
	for _, retries := range []int{0, 2} {
		_, err = under(t, s, fast(retries)).UnaryCall(t.Context(), &testpb.SimpleRequest{})
		found, ok := status.FromError(err)
		require.True(t, ok)
		assert.Equal(t, codes.Unavailable, found.Code())
		require.Len(t, found.Details(), 1)
		require.ErrorIs(t, err, detailed.Err())
		assert.ErrorContains(t, err, "rpc error: code = Unavailable desc = down")
	}
	_, err = under(t, s, nil).UnaryCall(t.Context(), &testpb.SimpleRequest{})
	assert.Equal(t, "rpc error: code = Unavailable desc = down", err.Error())
	assert.Equal(t, "down", status.Convert(err).Message())
}

// The end of an attempt's own time is retried, that of the caller's is not.
func TestTimeouts(t *testing.T) {
	t.Parallel()
	hang := func(ctx context.Context, n int, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		if n < 3 {
			<-ctx.Done()
			return nil, status.FromContextError(ctx.Err()).Err()
		}
		return &testpb.SimpleResponse{}, nil
	}
	s := &service{unary: hang}
	_, err := under(t, s, fast(99, retry.WithAttemptTimeout(30*time.Millisecond))).UnaryCall(t.Context(), &testpb.SimpleRequest{})
	require.NoError(t, err)
	assert.GreaterOrEqual(t, s.count(), 3)

	s = &service{unary: hang}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	_, err = under(t, s, fast(3)).UnaryCall(ctx, &testpb.SimpleRequest{})
	assert.Equal(t, codes.DeadlineExceeded, status.Code(err))
	require.ErrorIs(t, err, context.DeadlineExceeded)

	ctx, cancel = context.WithCancel(t.Context())
	s = &service{unary: func(served context.Context, n int, req *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		cancel() // by the caller, once the call has arrived
		return hang(served, n, req)
	}}
	_, err = under(t, s, fast(3)).UnaryCall(ctx, &testpb.SimpleRequest{})
	assert.Equal(t, codes.Canceled, status.Code(err))
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, 1, s.count())
}

// Where the context ends while the policy waits, the code is that of the context.
func TestContextEndsDuringTheWait(t *testing.T) {
	t.Parallel()
	s := &service{unary: failFirst(99, codes.Unavailable)}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stub := under(t, s, fast(3, retry.WithOnRetry(func(context.Context, retry.Retry) { cancel() })))
	_, err := stub.UnaryCall(ctx, &testpb.SimpleRequest{})
	assert.Equal(t, codes.Canceled, status.Code(err))
	require.ErrorIs(t, err, retry.ErrCanceled)
	assert.ErrorContains(t, err, "call 1", "the failure is there too")

	_, err = stub.UnaryCall(ctx, &testpb.SimpleRequest{})
	assert.Equal(t, codes.Canceled, status.Code(err), "a context that is done makes no attempt")
	assert.Equal(t, 1, s.count())
}

// Breakers judge the callee by what its code says.
func TestBreaker(t *testing.T) {
	t.Parallel()
	for code, opens := range map[codes.Code]bool{codes.NotFound: false, codes.Internal: true, codes.Unavailable: true} {
		s := &service{unary: failFirst(99, code)}
		stub := under(t, s, breaker.MustNew("b", breaker.WithConsecutiveFailures(2)))
		for range 2 {
			_, err := stub.UnaryCall(t.Context(), &testpb.SimpleRequest{})
			assert.Equal(t, code, status.Code(err))
		}
		_, err := stub.UnaryCall(t.Context(), &testpb.SimpleRequest{})
		assert.Equal(t, opens, errors.Is(err, breaker.ErrOpen))
		if opens {
			assert.Equal(t, codes.Unavailable, status.Code(err))
		}
	}
}

// A policy may be anything.
func TestPoliciesThatDoOddThings(t *testing.T) {
	t.Parallel()
	s := &service{unary: failFirst(99, codes.NotFound)}
	nothing := resilience.PolicyFunc(func(context.Context, resilience.Operation) error { return nil })
	_, err := under(t, s, nothing).UnaryCall(t.Context(), &testpb.SimpleRequest{})
	assert.Equal(t, codes.Internal, status.Code(err))
	assert.ErrorContains(t, err, "neither made the call")

	swallows := resilience.PolicyFunc(func(ctx context.Context, op resilience.Operation) error { _ = op(ctx); return nil })
	_, err = under(t, s, swallows).UnaryCall(t.Context(), &testpb.SimpleRequest{})
	assert.Equal(t, codes.NotFound, status.Code(err), "there is no reply to return")

	plain := resilience.PolicyFunc(func(context.Context, resilience.Operation) error { return errors.New("no") })
	_, err = under(t, s, plain).UnaryCall(t.Context(), &testpb.SimpleRequest{})
	assert.Equal(t, codes.Unknown, status.Code(err))
	_, known := status.FromError(err)
	assert.True(t, known)

	refuses := resilience.PolicyFunc(func(context.Context, resilience.Operation) error { return resilience.Refused(errors.New("full")) })
	_, err = under(t, s, refuses).UnaryCall(t.Context(), &testpb.SimpleRequest{})
	assert.Equal(t, codes.ResourceExhausted, status.Code(err))
}

// several is an error that cannot be compared, as some validators have it.
type several []string

func (s several) Error() string { return strings.Join(s, ", ") }

// The error of another interceptor may be of any type.
func TestErrorThatCannotBeCompared(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]resilience.Policy{"no policy": nil, "a policy": fast(1)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stub, _ := dial(t, serve(t, &service{}), append(retrygrpc.DialOptions(p),
				grpc.WithChainUnaryInterceptor(
					func(context.Context, string, any, any, *grpc.ClientConn, grpc.UnaryInvoker, ...grpc.CallOption) error {
						return several{"no name", "no age"}
					}),
				grpc.WithChainStreamInterceptor(
					func(context.Context, *grpc.StreamDesc, *grpc.ClientConn, string, grpc.Streamer, ...grpc.CallOption) (grpc.ClientStream, error) {
						return nil, several{"no name"}
					}))...)
			_, err := stub.UnaryCall(t.Context(), &testpb.SimpleRequest{})
			assert.Equal(t, several{"no name", "no age"}, errorOf[several](err))
			_, err = stub.FullDuplexCall(t.Context())
			assert.Equal(t, several{"no name"}, errorOf[several](err))
		})
	}
}

// errorOf returns the error of a type in the tree of err.
func errorOf[E error](err error) E {
	found, _ := errors.AsType[E](err)
	return found
}
