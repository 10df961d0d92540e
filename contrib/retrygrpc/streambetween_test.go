package retrygrpc_test

import (
	"context"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/observable-go/toolkit/contrib/retrygrpc"
)

// slowly puts something between the interceptors and package grpc that looks into streams and
// takes its time, and so lets all that runs beside it be quicker.
func slowly(look func(ctx context.Context)) grpc.DialOption {
	return grpc.WithChainStreamInterceptor(
		func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			look(ctx)
			stream, err := streamer(ctx, desc, cc, method, opts...)
			return &slow{ClientStream: stream}, err
		})
}

type slow struct{ grpc.ClientStream }

func (s *slow) Header() (metadata.MD, error) {
	defer func() { <-time.After(5 * time.Millisecond) }()
	return s.ClientStream.Header()
}

func (s *slow) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	<-time.After(5 * time.Millisecond)
	if status.Code(err) == codes.DataLoss { // which it knows to be of no consequence
		return down
	}
	return err
}

// Package grpc tells that it is done with an attempt before it tells how it ended: only the
// latter counts.
func TestFinishedBeforeItIsReceived(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]bool{"by receiving": false, "by asking for headers": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var attempts []context.Context
			s := &service{download: list(2, "a")}
			stub, _ := dial(t, serve(t, s), append(retrygrpc.DialOptions(fast(2)),
				slowly(func(ctx context.Context) { attempts = append(attempts, ctx) }))...)
			stream, err := stub.StreamingOutputCall(t.Context(), question("?"))
			require.NoError(t, err)
			if header {
				md, err := stream.Header()
				require.NoError(t, err)
				assert.NotNil(t, md)
			}
			got, err := drain(stream.Recv)
			assert.Equal(t, []string{"a?"}, got)
			assert.Equal(t, io.EOF, err)
			assert.Equal(t, 3, s.count())
			for _, ctx := range attempts {
				assert.Error(t, ctx.Err(), "what an attempt holds is freed with it, and not with the caller's context")
			}
		})
	}
}

// alone is a stream that takes its time to receive, and minds being asked twice at once.
type alone struct {
	slow

	t    *testing.T
	busy sync.Mutex
}

func (a *alone) RecvMsg(m any) error {
	if !assert.True(a.t, a.busy.TryLock(), "one goroutine receives at a time") {
		return io.ErrUnexpectedEOF
	}
	defer a.busy.Unlock()
	return a.slow.RecvMsg(m)
}

// Package grpc lets one goroutine ask for headers while another one receives.
func TestHeaderWhileReceiving(t *testing.T) {
	t.Parallel()
	stub, _ := dial(t, serve(t, &service{download: list(2, "a")}), append(retrygrpc.DialOptions(fast(2)), grpc.WithChainStreamInterceptor(
		func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			stream, err := streamer(ctx, desc, cc, method, opts...)
			return &alone{slow: slow{stream}, t: t}, err
		}))...)
	stream, err := stub.StreamingOutputCall(t.Context(), question("?"))
	require.NoError(t, err)
	asked := make(chan metadata.MD)
	go func() {
		md, _ := stream.Header()
		asked <- md
	}()
	got, err := drain(stream.Recv)
	assert.Equal(t, []string{"a?"}, got)
	assert.Equal(t, io.EOF, err)
	assert.NotNil(t, <-asked)
}

// What other interceptors make of an error counts.
func TestOtherInterceptorsHaveTheirSay(t *testing.T) {
	t.Parallel()
	s := &service{download: func(n int, req *testpb.StreamingOutputCallRequest, stream testpb.TestService_StreamingOutputCallServer) error {
		if n == 1 {
			return status.Error(codes.DataLoss, "lost")
		}
		return list(0, "a")(n, req, stream)
	}}
	stub, _ := dial(t, serve(t, s), append(retrygrpc.DialOptions(fast(2)), slowly(func(context.Context) {}))...)
	stream, err := stub.StreamingOutputCall(t.Context(), question("?"))
	require.NoError(t, err)
	_, err = stream.Recv()
	require.NoError(t, err)
	assert.Equal(t, 2, s.count())
}

// late is a stream whose first sending finds out that it is dead when the next attempt has long
// sent the message.
type late struct {
	grpc.ClientStream

	sends  chan struct{}
	replay chan struct{}
}

func (l *late) SendMsg(any) error {
	close(l.sends)
	<-l.replay
	return io.EOF
}

// A message that the next attempt has sent was sent.
func TestSendingOverlapsTheNextAttempt(t *testing.T) {
	t.Parallel()
	sends, replayed := make(chan struct{}), make(chan struct{})
	attempts := 0
	first := grpc.WithChainStreamInterceptor(
		func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			stream, err := streamer(ctx, desc, cc, method, opts...)
			if attempts++; attempts == 1 {
				return &late{stream, sends, replayed}, err
			}
			return stream, err
		})
	stub, _ := dial(t, serve(t, &service{chat: echo(1, 0)}), append(retrygrpc.DialOptions(fast(2)), first)...)
	stream, err := stub.FullDuplexCall(t.Context())
	require.NoError(t, err)
	sent := make(chan error)
	go func() { sent <- stream.Send(question("1")) }()
	<-sends
	m, err := stream.Recv()
	require.NoError(t, err)
	assert.Equal(t, "1", string(m.GetPayload().GetBody()))
	close(replayed)
	require.NoError(t, <-sent)
	require.NoError(t, stream.Send(question("2")))
	m, err = stream.Recv()
	require.NoError(t, err)
	assert.Equal(t, "2", string(m.GetPayload().GetBody()))
}
