package retrygrpc_test

import (
	"context"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/observable-go/toolkit/contrib/retrygrpc"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// fast returns a policy that makes this many retries without waits.
func fast(retries int, opts ...retry.Option) *retry.Policy {
	return retry.MustNew("test", append([]retry.Option{
		retry.WithMaxRetries(retries), retry.WithBackoff(backoff.Constant{}), retry.WithTelemetry(telemetry.Off()),
	}, opts...)...)
}

// service is a server whose methods are scripts. n counts the calls of all of them, from 1.
type service struct {
	testpb.UnimplementedTestServiceServer

	unary    func(ctx context.Context, n int, req *testpb.SimpleRequest) (*testpb.SimpleResponse, error)
	upload   func(n int, stream testpb.TestService_StreamingInputCallServer) error
	download func(n int, req *testpb.StreamingOutputCallRequest, stream testpb.TestService_StreamingOutputCallServer) error
	chat     func(n int, stream testpb.TestService_FullDuplexCallServer) error

	mu       sync.Mutex
	calls    int
	metadata []metadata.MD // of each call
	requests [][]byte      // of each unary call
}

func (s *service) begin(ctx context.Context) int {
	md, _ := metadata.FromIncomingContext(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	s.metadata = append(s.metadata, md)
	return s.calls
}

func (s *service) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// sent returns the values of a key in the metadata of each call.
func (s *service) sent(key string) (values []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, md := range s.metadata {
		values = append(values, strings.Join(md.Get(key), ","))
	}
	return values
}

func (s *service) UnaryCall(ctx context.Context, req *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	n := s.begin(ctx)
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(req)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.requests = append(s.requests, raw)
	s.mu.Unlock()
	return s.unary(ctx, n, req)
}

func (s *service) StreamingInputCall(stream testpb.TestService_StreamingInputCallServer) error {
	return s.upload(s.begin(stream.Context()), stream)
}

func (s *service) StreamingOutputCall(req *testpb.StreamingOutputCallRequest, stream testpb.TestService_StreamingOutputCallServer) error {
	return s.download(s.begin(stream.Context()), req, stream)
}

func (s *service) FullDuplexCall(stream testpb.TestService_FullDuplexCallServer) error {
	return s.chat(s.begin(stream.Context()), stream)
}

// failFirst is a script that fails with a code so often, and then answers.
func failFirst(times int, code codes.Code) func(context.Context, int, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	return func(_ context.Context, n int, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		if n <= times {
			return nil, status.Errorf(code, "call %d", n)
		}
		return &testpb.SimpleResponse{Username: "done"}, nil
	}
}

// listen returns a listener on a free port of this machine.
func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return l
}

// serve runs a server for the test and returns its address.
func serve(t *testing.T, s testpb.TestServiceServer, opts ...grpc.ServerOption) string {
	t.Helper()
	_, address := serveAt(t, s, listen(t), opts...)
	return address
}

func serveAt(t *testing.T, s testpb.TestServiceServer, l net.Listener, opts ...grpc.ServerOption) (*grpc.Server, string) {
	t.Helper()
	server := grpc.NewServer(opts...)
	testpb.RegisterTestServiceServer(server, s)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() {
		server.Stop()
		<-done
	})
	return server, l.Addr().String()
}

// dial returns a client of the server at an address, and its connection.
func dial(t *testing.T, address string, opts ...grpc.DialOption) (testpb.TestServiceClient, *grpc.ClientConn) {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address, append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return testpb.NewTestServiceClient(conn), conn
}

// under returns a client whose calls run under a policy.
func under(t *testing.T, s testpb.TestServiceServer, p resilience.Policy, opts ...retrygrpc.Option) testpb.TestServiceClient {
	t.Helper()
	client, err := retrygrpc.New(p, opts...)
	require.NoError(t, err)
	stub, _ := dial(t, serve(t, s), client.DialOptions()...)
	return stub
}

// proxy forwards connections, and cuts them.
type proxy struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	conns []net.Conn
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	p := &proxy{listener: listen(t), target: target}
	go p.run()
	t.Cleanup(func() {
		_ = p.listener.Close()
		p.cut()
	})
	return p
}

func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) run() {
	for {
		in, err := p.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", p.target) //nolint:noctx // on this machine
		if err != nil {
			_ = in.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, in, out)
		p.mu.Unlock()
		forward := func(to, from net.Conn) {
			_, _ = io.Copy(to, from)
			_ = to.Close()
			_ = from.Close()
		}
		go forward(out, in)
		go forward(in, out)
	}
}

// cut resets all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range p.conns {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a RST in place of a FIN
		}
		_ = conn.Close()
	}
	p.conns = nil
}

// noLeak fails if there are more goroutines in the end than now, and a few that come and go.
func noLeak(t *testing.T) func() {
	t.Helper()
	before := runtime.NumGoroutine()
	return func() {
		t.Helper()
		ok := assert.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+2 }, 5*time.Second, 10*time.Millisecond)
		if !ok {
			stacks := make([]byte, 1<<20)
			t.Fatalf("goroutines left: there were %d\n%s", before, stacks[:runtime.Stack(stacks, true)])
		}
	}
}
