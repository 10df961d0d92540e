package retrygrpc_test

import (
	"context"
	"errors"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/observable-go/toolkit/contrib/retrygrpc"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/breaker"
	"github.com/observable-go/toolkit/resilience/bulkhead"
	"github.com/observable-go/toolkit/resilience/retry"
)

// An attempt timeout bounds the time up to the first message, and nothing after it.
func TestStreamOutlivesItsAttempt(t *testing.T) {
	t.Parallel()
	const limit = 50 * time.Millisecond
	goOn := make(chan struct{})
	s := &service{download: func(n int, _ *testpb.StreamingOutputCallRequest, stream testpb.TestService_StreamingOutputCallServer) error {
		if n < 2 {
			<-stream.Context().Done()
			return stream.Context().Err()
		}
		if err := stream.Send(reply("a")); err != nil {
			return err
		}
		select {
		case <-goOn:
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
		return stream.Send(reply("b"))
	}}
	stream, err := under(t, s, fast(9, retry.WithAttemptTimeout(limit))).StreamingOutputCall(t.Context(), question("?"))
	require.NoError(t, err)
	_, err = stream.Recv()
	require.NoError(t, err)
	<-time.After(3 * limit)
	close(goOn)
	got, err := drain(stream.Recv)
	assert.Equal(t, []string{"b"}, got)
	assert.Equal(t, io.EOF, err)

	s = &service{download: func(_ int, _ *testpb.StreamingOutputCallRequest, stream testpb.TestService_StreamingOutputCallServer) error {
		<-stream.Context().Done()
		return nil
	}}
	stream, err = under(t, s, fast(1, retry.WithAttemptTimeout(limit))).StreamingOutputCall(t.Context(), question("?"))
	require.NoError(t, err)
	_, err = stream.Recv()
	assert.Equal(t, codes.DeadlineExceeded, status.Code(err))
	require.ErrorIs(t, err, retry.ErrExhausted)
	gaveUp, _ := errors.AsType[*retry.Error](err)
	assert.Equal(t, 2, gaveUp.Attempts)
}

// Guards stand before the opening of a stream, and let go of it at its first message.
func TestGuardsOfStreams(t *testing.T) {
	t.Parallel()
	s := &service{download: list(99)}
	stub := under(t, s, breaker.MustNew("b", breaker.WithConsecutiveFailures(1)))
	stream, err := stub.StreamingOutputCall(t.Context(), question("?"))
	require.NoError(t, err)
	_, err = stream.Recv()
	assert.Equal(t, codes.Unavailable, status.Code(err))
	_, err = stub.StreamingOutputCall(t.Context(), question("?"))
	require.ErrorIs(t, err, breaker.ErrOpen)
	assert.Equal(t, 1, s.count(), "the second was not sent")

	goOn := make(chan struct{})
	s = &service{download: func(_ int, _ *testpb.StreamingOutputCallRequest, stream testpb.TestService_StreamingOutputCallServer) error {
		if err := stream.Send(reply("a")); err != nil {
			return err
		}
		<-goOn
		return nil
	}}
	slots := bulkhead.MustNew("b", 1)
	stub = under(t, s, slots)
	defer close(goOn)
	first, err := stub.StreamingOutputCall(t.Context(), question("?"))
	require.NoError(t, err)
	_, err = stub.StreamingOutputCall(t.Context(), question("?"))
	require.ErrorIs(t, err, bulkhead.ErrFull)
	assert.Equal(t, codes.ResourceExhausted, status.Code(err))
	_, err = first.Recv()
	require.NoError(t, err)
	second, err := stub.StreamingOutputCall(t.Context(), question("?"))
	require.NoError(t, err)
	_, err = second.Recv()
	require.NoError(t, err)
}

// Opening is part of the attempt.
func TestNobodyListens(t *testing.T) {
	t.Parallel()
	l := listen(t)
	require.NoError(t, l.Close())
	attempts := 0
	client := retrygrpc.MustNew(fast(2, retry.WithOnRetry(func(context.Context, retry.Retry) { attempts++ })))
	stub, _ := dial(t, l.Addr().String(), client.DialOptions()...)
	ends := 0
	_, err := stub.FullDuplexCall(t.Context(), grpc.OnFinish(func(error) { ends++ }))
	assert.Equal(t, codes.Unavailable, status.Code(err))
	assert.Equal(t, 2, attempts)
	assert.Equal(t, 1, ends)
	_, err = stub.UnaryCall(t.Context(), &testpb.SimpleRequest{}, grpc.OnFinish(func(error) { ends++ }))
	assert.Equal(t, codes.Unavailable, status.Code(err))
	assert.Equal(t, 2, ends)

	patient, _ := dial(t, l.Addr().String(), retrygrpc.DialOptions(fast(1, retry.WithAttemptTimeout(20*time.Millisecond)))...)
	_, err = patient.FullDuplexCall(t.Context(), grpc.WaitForReady(true))
	assert.Equal(t, codes.DeadlineExceeded, status.Code(err))
	gaveUp, ok := errors.AsType[*retry.Error](err)
	require.True(t, ok)
	assert.Equal(t, 2, gaveUp.Attempts, "the time of an attempt bounds its opening too")
}

// A panic of another interceptor reaches the caller, as it would without a policy.
func TestPanicReachesTheCaller(t *testing.T) {
	t.Parallel()
	explodes := grpc.WithChainStreamInterceptor(
		func(context.Context, *grpc.StreamDesc, *grpc.ClientConn, string, grpc.Streamer, ...grpc.CallOption) (grpc.ClientStream, error) {
			panic("boom")
		})
	stub, _ := dial(t, serve(t, &service{}), append(retrygrpc.DialOptions(fast(2)), explodes)...)
	assert.PanicsWithValue(t, "boom", func() { _, _ = stub.FullDuplexCall(t.Context()) })
}

// Whatever the caller abandons, nothing is left.
func TestAbandoned(t *testing.T) {
	s := &service{
		download: func(_ int, _ *testpb.StreamingOutputCallRequest, stream testpb.TestService_StreamingOutputCallServer) error {
			<-stream.Context().Done()
			return nil
		},
		chat: echo(0, 0),
	}
	client := retrygrpc.MustNew(fast(2))
	stub, conn := dial(t, serve(t, s), client.DialOptions()...)
	opened, err := stub.FullDuplexCall(t.Context()) // connects
	require.NoError(t, err)
	require.NoError(t, opened.CloseSend())
	_, err = opened.Recv()
	require.Equal(t, io.EOF, err)
	done := noLeak(t)
	for range 50 {
		ctx, cancel := context.WithCancel(t.Context())
		stream, err := stub.StreamingOutputCall(ctx, question("?"))
		require.NoError(t, err)
		cancel()
		_, err = stream.Recv()
		assert.Equal(t, codes.Canceled, status.Code(err))

		ctx, cancel = context.WithCancel(t.Context())
		_, err = stub.StreamingOutputCall(ctx, question("?"))
		require.NoError(t, err)
		cancel() // and nobody receives

		ctx, cancel = context.WithCancel(t.Context())
		chat, err := stub.FullDuplexCall(ctx)
		require.NoError(t, err)
		require.NoError(t, chat.Send(question("?")))
		_, err = chat.Recv()
		require.NoError(t, err)
		cancel() // in the midst of it
	}
	done()
	// The connection is closed under streams that nobody receives from.
	stream, err := stub.StreamingOutputCall(t.Context(), question("?"))
	require.NoError(t, err)
	for range 20 {
		_, err = stub.StreamingOutputCall(t.Context(), question("?"))
		require.NoError(t, err)
	}
	require.NoError(t, conn.Close())
	done()
	_, err = stream.Recv()
	assert.Equal(t, codes.Canceled, status.Code(err))
}

// A method that may not be executed twice is not, and its guards stand nevertheless.
func TestStreamOfAMethodThatIsNotRepeated(t *testing.T) {
	t.Parallel()
	s := &service{download: list(99)}
	stub := under(t, s, resilience.Chain(fast(3), breaker.MustNew("b", breaker.WithConsecutiveFailures(1))),
		retrygrpc.WithMethods(retrygrpc.Idempotent))
	stream, err := stub.StreamingOutputCall(t.Context(), question("?"))
	require.NoError(t, err)
	_, err = stream.Recv()
	assert.Equal(t, "down", status.Convert(err).Message())
	assert.Equal(t, resilience.ClassRetryable, resilience.Classify(err))
	assert.Equal(t, 1, s.count())
	_, err = stub.StreamingOutputCall(t.Context(), question("?"))
	require.ErrorIs(t, err, breaker.ErrOpen)
}

// Odd policies do no harm to streams either.
func TestStreamsUnderOddPolicies(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		policy resilience.PolicyFunc
		code   codes.Code
	}{
		"nothing":        {func(context.Context, resilience.Operation) error { return nil }, codes.Internal},
		"swallows":       {func(ctx context.Context, op resilience.Operation) error { _ = op(ctx); return nil }, codes.Unavailable},
		"fails at last":  {func(ctx context.Context, op resilience.Operation) error { _ = op(ctx); return errors.New("no") }, codes.Unknown},
		"leaves":         {func(context.Context, resilience.Operation) error { runtime.Goexit(); return nil }, codes.Internal},
		"goes on anyway": {func(ctx context.Context, op resilience.Operation) error { return errors.Join(op(ctx), op(ctx)) }, codes.OK},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &service{download: list(1, "a")}
			stream, err := under(t, s, c.policy).StreamingOutputCall(t.Context(), question("?"))
			if err == nil {
				_, err = stream.Recv()
			}
			if name == "goes on anyway" {
				assert.ErrorContains(t, err, "down", "the policy says so")
				return
			}
			assert.Equal(t, c.code, status.Code(err))
		})
	}
}
