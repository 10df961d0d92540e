package retrygrpc

import (
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/observable-go/toolkit/internal/layers"
	"github.com/observable-go/toolkit/resilience"
)

// A Server holds the interceptors of a server. Make one with [NewServer], and give its
// [Server.ServerOptions] to [grpc.NewServer].
//
// They keep retries from multiplying over several services: a handler that serves a repeated
// call makes no retries of its own, as the client above does, and a handler that has made
// retries in vain answers with grpc-retry-pushback-ms: -1 (gRFC A6), upon which the client makes
// none. With [WithGuard] they also guard the handlers by a policy.
//
// It is safe for use by several goroutines at once.
type Server struct{ serverSettings }

var (
	_ grpc.UnaryServerInterceptor  = (*Server)(nil).Unary
	_ grpc.StreamServerInterceptor = (*Server)(nil).Stream
)

// A ServerOption changes a setting of a new [Server]. Later options override earlier ones.
type ServerOption func(*serverSettings) error

type serverSettings struct {
	guard              resilience.Policy
	ownRetries         bool
	withoutShouldRetry bool
}

// WithGuard calls handlers under p: a bulkhead, a rate limit, a circuit breaker or a chain of
// them. It must not repeat, as a handler cannot be called twice. A call that p refuses is
// answered with RESOURCE_EXHAUSTED, or UNAVAILABLE where it is a breaker that refuses, and if p
// knows when it would let one pass also with that: as google.rpc.RetryInfo and as
// grpc-retry-pushback-ms.
func WithGuard(p resilience.Policy) ServerOption {
	return func(s *serverSettings) error {
		if p == nil {
			return errors.New("retrygrpc: guard: nil is not allowed: want a policy")
		}
		for _, problem := range resilience.Check(caller{}, p) {
			if problem.Reason == resilience.NestedRetries {
				return errors.New("retrygrpc: guard: a policy that repeats is not allowed: want one that calls an operation once")
			}
		}
		s.guard = p
		return nil
	}
}

// caller stands for the client above, who repeats: with it [resilience.Check] finds in a guard
// what repeats too.
type caller struct{}

func (caller) Do(ctx context.Context, op resilience.Operation) error { return op(ctx) }

func (caller) Describe() resilience.Description {
	return resilience.Description{Kind: "retry", Name: "caller", Repeats: true}
}

func (caller) Warn(context.Context, resilience.Problem) {}

// WithOwnRetries lets the policies of a handler retry also while it serves a call that the
// client above repeats. Fewer calls fail by chance then, and an outage is answered by the product
// of the attempts of all layers.
func WithOwnRetries() ServerOption {
	return func(s *serverSettings) error {
		s.ownRetries = true
		return nil
	}
}

// WithoutShouldRetry keeps it from the client that a policy gave up.
func WithoutShouldRetry() ServerOption {
	return func(s *serverSettings) error {
		s.withoutShouldRetry = true
		return nil
	}
}

// NewServer returns a Server. An invalid option is an error that names it.
func NewServer(opts ...ServerOption) (*Server, error) {
	s := new(Server)
	for _, opt := range opts {
		if opt == nil {
			continue
		}
		if err := opt(&s.serverSettings); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// MustNewServer is [NewServer] for package variables: it panics where NewServer returns an error.
func MustNewServer(opts ...ServerOption) *Server {
	s, err := NewServer(opts...)
	if err != nil {
		panic(err)
	}
	return s
}

// ServerOptions returns what makes a server heed and tell of retries, without further options:
//
//	server := grpc.NewServer(retrygrpc.ServerOptions()...)
func ServerOptions() []grpc.ServerOption { return MustNewServer().ServerOptions() }

// ServerOptions returns both interceptors, chained.
func (s *Server) ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(s.Unary),
		grpc.ChainStreamInterceptor(s.Stream),
	}
}

// Unary is a [grpc.UnaryServerInterceptor].
func (s *Server) Unary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (reply any, err error) {
	err = s.serve(ctx, func(trailer metadata.MD) error { return grpc.SetTrailer(ctx, trailer) }, func(ctx context.Context) error {
		reply, err = handler(ctx, req)
		return err
	})
	return reply, err
}

// Stream is a [grpc.StreamServerInterceptor].
func (s *Server) Stream(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	setTrailer := func(trailer metadata.MD) error {
		stream.SetTrailer(trailer)
		return nil
	}
	return s.serve(stream.Context(), setTrailer, func(ctx context.Context) error {
		return handler(srv, &servedStream{stream, ctx})
	})
}

// servedStream is a stream under the context of its serving.
type servedStream struct {
	grpc.ServerStream

	ctx context.Context
}

func (s *servedStream) Context() context.Context { return s.ctx }

// serve calls a handler and returns the error to answer with.
func (s *Server) serve(ctx context.Context, setTrailer func(metadata.MD) error, handle resilience.Operation) error {
	incoming, _ := metadata.FromIncomingContext(ctx)
	ctx = layers.Serve(ctx, layers.Claimed(ctx, incoming.Get), s.ownRetries)
	ctx, gaveUp := resilience.WatchGaveUp(ctx)
	var answered error
	called := false
	err := do(ctx, s.guard, func(ctx context.Context) error {
		called = true
		answered = handle(ctx)
		return judged(answered)
	})
	switch {
	case !called && err == nil:
		err = errNotServed
	case !called:
		return refused(err, setTrailer)
	case err == nil || errors.Is(err, answered): // what the guard makes of it is between the two
		err = answered
	}
	if err == nil {
		return nil
	}
	if gaveUp() && !s.withoutShouldRetry {
		_ = setTrailer(metadata.Pairs(pushbackKey, "-1")) // fails only outside of a server
	}
	return answerable(ctx, err)
}
