package retrygrpc_test

import (
	"context"
	"io"
	"net"
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
	"github.com/observable-go/toolkit/resilience/retry"
)

// through returns a client whose connections can be cut.
func through(t *testing.T, s *service) (testpb.TestServiceClient, *proxy) {
	t.Helper()
	p := newProxy(t, serve(t, s))
	client := retrygrpc.MustNew(fast(3))
	// Without a wait before it connects again, attempts without delays would all find it down.
	stub, _ := dial(t, p.address(), append(client.DialOptions(), grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))...)
	return stub, p
}

// The connection is reset while the server works on the call.
func TestConnectionIsCut(t *testing.T) {
	var p *proxy
	s := &service{
		unary: func(ctx context.Context, n int, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			if n < 3 {
				p.cut()
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return &testpb.SimpleResponse{Username: "done"}, nil
		},
		upload: func(n int, stream testpb.TestService_StreamingInputCallServer) error {
			for received := int32(0); ; received++ {
				m, err := stream.Recv()
				if err == io.EOF {
					return stream.SendAndClose(&testpb.StreamingInputCallResponse{AggregatedPayloadSize: received})
				}
				if err != nil {
					return err
				}
				if n < 3 && string(m.GetPayload().GetBody()) == "2" {
					p.cut()
				}
			}
		},
		chat: func(n int, stream testpb.TestService_FullDuplexCallServer) error {
			if n < 3 { // after the headers, before a message
				if err := stream.SendHeader(metadata.Pairs("attempt", "early")); err != nil {
					return err
				}
				p.cut()
				<-stream.Context().Done()
				return stream.Context().Err()
			}
			return echo(0, 0)(n, stream)
		},
		download: func(_ int, _ *testpb.StreamingOutputCallRequest, stream testpb.TestService_StreamingOutputCallServer) error {
			if err := stream.Send(reply("a")); err != nil {
				return err
			}
			<-stream.Context().Done() // until the client has it, and cuts the connection
			return stream.Context().Err()
		},
	}
	t.Run("unary", func(t *testing.T) {
		s.calls = 0
		var stub testpb.TestServiceClient
		stub, p = through(t, s)
		answer, err := stub.UnaryCall(t.Context(), &testpb.SimpleRequest{})
		require.NoError(t, err)
		assert.Equal(t, "done", answer.GetUsername())
		assert.Equal(t, 3, s.count())
	})
	t.Run("upload", func(t *testing.T) {
		s.calls = 0
		var stub testpb.TestServiceClient
		stub, p = through(t, s)
		stream, err := stub.StreamingInputCall(t.Context())
		require.NoError(t, err)
		for _, text := range []string{"1", "2", "3"} {
			require.NoError(t, stream.Send(&testpb.StreamingInputCallRequest{Payload: body(text)}))
		}
		answer, err := stream.CloseAndRecv()
		require.NoError(t, err)
		assert.Equal(t, int32(3), answer.GetAggregatedPayloadSize())
		assert.Equal(t, 3, s.count())
	})
	t.Run("after the headers", func(t *testing.T) {
		s.calls = 0
		var stub testpb.TestServiceClient
		stub, p = through(t, s)
		stream, err := stub.FullDuplexCall(t.Context())
		require.NoError(t, err)
		require.NoError(t, stream.Send(question("?")))
		m, err := stream.Recv()
		require.NoError(t, err)
		assert.Equal(t, "?", string(m.GetPayload().GetBody()))
		header, err := stream.Header()
		require.NoError(t, err)
		assert.Empty(t, header.Get("attempt"), "the headers are those of the attempt that is received from")
		assert.Equal(t, 3, s.count())
	})
	t.Run("after a message", func(t *testing.T) {
		s.calls = 0
		var stub testpb.TestServiceClient
		stub, p = through(t, s)
		stream, err := stub.StreamingOutputCall(t.Context(), question("?"))
		require.NoError(t, err)
		_, err = stream.Recv()
		require.NoError(t, err)
		p.cut()
		_, err = stream.Recv()
		assert.Equal(t, codes.Unavailable, status.Code(err))
		assert.Equal(t, 1, s.count())
	})
}

// A server that is stopped gracefully ends its calls, and the next one takes over.
func TestServerRestarts(t *testing.T) {
	t.Parallel()
	l := listen(t)
	address := l.Addr().String()
	first := &service{unary: failFirst(0, codes.OK)}
	server, _ := serveAt(t, first, l)
	second := &service{unary: failFirst(0, codes.OK)}
	restart := make(chan struct{})
	client := retrygrpc.MustNew(fast(50, retry.WithOnRetry(func(_ context.Context, r retry.Retry) {
		if r.Attempt == 3 { // two attempts have found nobody
			close(restart)
			<-restarted(t, second, address)
		}
	})))
	stub, conn := dial(t, address, client.DialOptions()...)
	_, err := stub.UnaryCall(t.Context(), &testpb.SimpleRequest{})
	require.NoError(t, err)
	server.GracefulStop()
	conn.ResetConnectBackoff()
	_, err = stub.UnaryCall(t.Context(), &testpb.SimpleRequest{}, grpc.WaitForReady(false))
	if err != nil { // fifty attempts may pass before the connection is made again
		conn.ResetConnectBackoff()
		_, err = stub.UnaryCall(t.Context(), &testpb.SimpleRequest{}, grpc.WaitForReady(true))
	}
	require.NoError(t, err)
	<-restart
	assert.Equal(t, 1, first.count())
	assert.Equal(t, 1, second.count())
}

// restarted runs a server at an address and returns a channel that is closed when it listens.
func restarted(t *testing.T, s *service, address string) <-chan struct{} {
	t.Helper()
	done := make(chan struct{})
	defer close(done)
	l, err := net.Listen("tcp", address) //nolint:noctx // on this machine
	if !assert.NoError(t, err) {
		return done
	}
	serveAt(t, s, l)
	return done
}

// GOAWAY with streams under way: they are served to their end, and nothing is repeated.
func TestGracefulStopEndsStreams(t *testing.T) {
	t.Parallel()
	goOn := make(chan struct{})
	s := &service{download: func(_ int, _ *testpb.StreamingOutputCallRequest, stream testpb.TestService_StreamingOutputCallServer) error {
		if err := stream.Send(reply("a")); err != nil {
			return err
		}
		<-goOn
		return stream.Send(reply("b"))
	}}
	server, address := serveAt(t, s, listen(t))
	stub, _ := dial(t, address, retrygrpc.DialOptions(fast(3))...)
	stream, err := stub.StreamingOutputCall(t.Context(), question("?"))
	require.NoError(t, err)
	_, err = stream.Recv()
	require.NoError(t, err)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		server.GracefulStop()
	}()
	close(goOn)
	got, err := drain(stream.Recv)
	assert.Equal(t, []string{"b"}, got)
	assert.Equal(t, io.EOF, err)
	<-stopped
	assert.Equal(t, 1, s.count())
}

// Ten thousand calls of all kinds, most of which fail in some way, leave nothing behind.
func TestManyFaultyCalls(t *testing.T) {
	calls := 2500 // of each kind
	if testing.Short() || raceEnabled {
		calls = 250
	}
	fails := func(n int) error {
		switch n % 5 {
		case 0:
			return nil
		case 1:
			return retryInfo(codes.ResourceExhausted, nil)
		case 2:
			return status.Error(codes.Internal, "broken")
		}
		return down
	}
	s := &service{
		unary: func(_ context.Context, n int, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			return &testpb.SimpleResponse{}, fails(n)
		},
		upload: func(n int, stream testpb.TestService_StreamingInputCallServer) error {
			if err := fails(n); err != nil {
				return err
			}
			return stream.SendAndClose(&testpb.StreamingInputCallResponse{})
		},
		download: func(n int, _ *testpb.StreamingOutputCallRequest, stream testpb.TestService_StreamingOutputCallServer) error {
			if n%3 == 0 {
				if err := stream.Send(reply("a")); err != nil {
					return err
				}
			}
			return fails(n)
		},
		chat: func(n int, stream testpb.TestService_FullDuplexCallServer) error {
			if err := fails(n); err != nil {
				return err
			}
			return echo(0, 0)(n, stream)
		},
	}
	stub, _ := dial(t, serve(t, s), retrygrpc.DialOptions(fast(1))...)
	_, _ = stub.UnaryCall(t.Context(), &testpb.SimpleRequest{}) // connects
	done := noLeak(t)
	for i := range calls {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		_, _ = stub.UnaryCall(ctx, &testpb.SimpleRequest{})
		if stream, err := stub.StreamingInputCall(ctx); err == nil {
			_ = stream.Send(&testpb.StreamingInputCallRequest{Payload: body("x")})
			_, _ = stream.CloseAndRecv()
		}
		if stream, err := stub.StreamingOutputCall(ctx, question("?")); err == nil {
			_, _ = drain(stream.Recv)
		}
		if stream, err := stub.FullDuplexCall(ctx); err == nil {
			_ = stream.Send(question("?"))
			if i%2 == 0 { // the others are abandoned
				_, _ = stream.Recv()
				_ = stream.CloseSend()
				_, _ = stream.Recv()
			}
		}
		cancel()
	}
	done()
}
