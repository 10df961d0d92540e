package vectorstore_test

import (
	"context"
	"net"
	"path"
	"sync"
	"testing"

	"github.com/qdrant/go-client/qdrant"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// A fault is what happens to one call in place of its answer. It gets what would serve it.
type fault func(ctx context.Context, serve func() (any, error)) (any, error)

// unavailable is the answer of a server that is about to stop.
func unavailable(context.Context, func() (any, error)) (any, error) {
	return nil, status.Error(codes.Unavailable, "the node is restarting")
}

// answers fails with a code and a message, and with trailers in pairs of name and value.
func answers(code codes.Code, message string, trailers ...string) fault {
	return func(ctx context.Context, _ func() (any, error)) (any, error) {
		if err := grpc.SetTrailer(ctx, metadata.Pairs(trailers...)); err != nil {
			return nil, err
		}
		return nil, status.Error(code, message)
	}
}

// unheard does what is asked and loses the answer.
func unheard(_ context.Context, serve func() (any, error)) (any, error) {
	if _, err := serve(); err != nil {
		return nil, err
	}
	return nil, status.Error(codes.Unavailable, "the answer was lost")
}

// hangs never answers.
func hangs(ctx context.Context, _ func() (any, error)) (any, error) {
	<-ctx.Done()
	return nil, status.FromContextError(ctx.Err()).Err()
}

// A sent is a request as it came over the wire.
type sent struct {
	method string
	bytes  []byte
	header metadata.MD
}

// fake is a server of Qdrant: its protocol over loopback, with a store in memory.
type fake struct {
	address string
	store   *store
	server  *grpc.Server

	mu     sync.Mutex
	faults map[string][]fault // by method, for the next calls of it
	calls  []sent
	conns  map[net.Conn]bool
	wire   [][]byte
}

func newFake(t *testing.T) *fake {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	f := startFake(listener)
	t.Cleanup(f.server.Stop)
	return f
}

func startFake(listener net.Listener) *fake {
	f := &fake{
		address: listener.Addr().String(), store: newStore(),
		faults: make(map[string][]fault), conns: make(map[net.Conn]bool),
	}
	f.server = grpc.NewServer(grpc.UnaryInterceptor(f.intercept), grpc.ForceServerCodecV2(recorder{encoding.GetCodecV2("proto"), f}))
	qdrant.RegisterPointsServer(f.server, points{store: f.store})
	qdrant.RegisterCollectionsServer(f.server, collections{store: f.store})
	qdrant.RegisterQdrantServer(f.server, health{})
	go func() { _ = f.server.Serve(tracked{listener, f}) }()
	return f
}

func (f *fake) url() string { return "http://" + f.address }

// fail makes the next calls of a method go wrong.
func (f *fake) fail(method string, faults ...fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults[method] = append(f.faults[method], faults...)
}

// requests returns the calls of a method so far, each attempt one of its own.
func (f *fake) requests(method string) (of []sent) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, call := range f.calls {
		if call.method == method {
			of = append(of, call)
		}
	}
	return of
}

func (f *fake) attempts(method string) int { return len(f.requests(method)) }

// cut closes the connection of a call, in the middle of it.
func (f *fake) cut(ctx context.Context, _ func() (any, error)) (any, error) {
	f.mu.Lock()
	caller, _ := peer.FromContext(ctx)
	for conn := range f.conns {
		if conn.RemoteAddr().String() == caller.Addr.String() {
			_ = conn.Close()
		}
	}
	f.mu.Unlock()
	<-ctx.Done()
	return nil, ctx.Err()
}

func (f *fake) intercept(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	method := path.Base(info.FullMethod)
	header, _ := metadata.FromIncomingContext(ctx)
	f.mu.Lock()
	call := sent{method: method, header: header}
	if len(f.wire) > 0 {
		call.bytes, f.wire = f.wire[0], f.wire[1:]
	}
	f.calls = append(f.calls, call)
	var next fault
	if waiting := f.faults[method]; len(waiting) > 0 {
		next, f.faults[method] = waiting[0], waiting[1:]
	}
	f.mu.Unlock()
	serve := func() (any, error) { return handler(ctx, request) }
	if next != nil {
		return next(ctx, serve)
	}
	return serve()
}

// recorder keeps the bytes of requests.
type recorder struct {
	encoding.CodecV2

	fake *fake
}

func (r recorder) Unmarshal(data mem.BufferSlice, v any) error {
	r.fake.mu.Lock()
	r.fake.wire = append(r.fake.wire, data.Materialize())
	r.fake.mu.Unlock()
	return r.CodecV2.Unmarshal(data, v)
}

// tracked is a listener that knows its connections.
type tracked struct {
	net.Listener

	fake *fake
}

func (l tracked) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.fake.mu.Lock()
	defer l.fake.mu.Unlock()
	l.fake.conns[conn] = true
	return forgotten{conn, l.fake}, nil
}

type forgotten struct {
	net.Conn

	fake *fake
}

func (c forgotten) Close() error {
	c.fake.mu.Lock()
	delete(c.fake.conns, c.Conn)
	c.fake.mu.Unlock()
	return c.Conn.Close()
}

func (f *fake) connections() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.conns)
}
