package main

import (
	"context"
	"net"
	"sync"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/observable-go/toolkit/contrib/retrygrpc"
)

const chargeMethod = "/shop.Payments/Charge"

// paymentsServer is the service that takes the money: a gRPC server beside the HTTP server of the
// service, which has its debug page.
type paymentsServer struct {
	*service

	listener *trackingListener
	server   *grpc.Server
}

func newPaymentsServer(s *service, l net.Listener) *paymentsServer {
	p := &paymentsServer{service: s, listener: &trackingListener{Listener: l, conns: make(map[string]net.Conn)}}
	p.server = grpc.NewServer(append(retrygrpc.ServerOptions(), grpc.StatsHandler(otelgrpc.NewServerHandler(s.signals.grpc()...)))...)
	p.server.RegisterService(&paymentsDesc, p)
	return p
}

// paymentsDesc is what protoc would generate from
//
//	service Payments { rpc Charge(google.protobuf.StringValue) returns (google.protobuf.StringValue); }
var paymentsDesc = grpc.ServiceDesc{
	ServiceName: "shop.Payments",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: "Charge",
		Handler: func(srv any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
			order := new(wrapperspb.StringValue)
			if err := decode(order); err != nil {
				return nil, err
			}
			charge := func(ctx context.Context, order any) (any, error) {
				return srv.(*paymentsServer).charge(ctx, order.(*wrapperspb.StringValue))
			}
			if intercept == nil {
				return charge(ctx, order)
			}
			return intercept(ctx, order, &grpc.UnaryServerInfo{Server: srv, FullMethod: chargeMethod}, charge)
		},
	}},
}

// charge takes the money for an order, and returns the number of the receipt.
func (p *paymentsServer) charge(ctx context.Context, order *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
	comes := p.faults.meet(ctx)
	incoming, _ := metadata.FromIncomingContext(ctx)
	p.journal.add(ctx, entry{
		Service: p.name, Method: chargeMethod, Result: comes, Order: order.GetValue(),
		Attempt: previousIn(incoming.Get("grpc-previous-rpc-attempts")),
	})
	switch comes {
	case resultOK:
		return wrapperspb.String("receipt-" + order.GetValue()), nil
	case resultReset:
		if caller, ok := peer.FromContext(ctx); ok {
			p.listener.reset(caller.Addr)
		}
	case resultCanceled:
		return nil, status.FromContextError(ctx.Err()).Err()
	case resultFailed:
	}
	return nil, status.Error(codes.Unavailable, "the payments are not available")
}

// A trackingListener knows its connections, to break one by the address of its client.
type trackingListener struct {
	net.Listener

	mu    sync.Mutex
	conns map[string]net.Conn
}

// Accept implements [net.Listener].
func (l *trackingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[conn.RemoteAddr().String()] = conn
	return &trackedConn{conn, l}, nil
}

// reset breaks the connection with that client, and with it all calls that are on it.
func (l *trackingListener) reset(client net.Addr) {
	if conn := l.forget(client); conn != nil {
		breakConn(conn)
	}
}

func (l *trackingListener) forget(client net.Addr) net.Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	conn := l.conns[client.String()]
	delete(l.conns, client.String())
	return conn
}

type trackedConn struct {
	net.Conn

	listener *trackingListener
}

// Close implements [net.Conn].
func (c *trackedConn) Close() error {
	c.listener.forget(c.RemoteAddr())
	return c.Conn.Close()
}

// A paymentsClient is how the storefront takes the money.
type paymentsClient struct{ conn *grpc.ClientConn }

// newPaymentsClient returns a client whose calls run under the policies. The stats handler of
// otelgrpc sees each attempt as a call, and makes a span for it.
func newPaymentsClient(target string, p *policies, s *signals) (*paymentsClient, error) {
	conn, err := grpc.NewClient(target, append(retrygrpc.DialOptions(p.stack),
		grpc.WithStatsHandler(otelgrpc.NewClientHandler(s.grpc()...)),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
	)...)
	if err != nil {
		return nil, err
	}
	return &paymentsClient{conn}, nil
}

// charge takes the money for an order. It may be repeated, as payments charge for an order once,
// however often they are told to.
func (c *paymentsClient) charge(ctx context.Context, order string) (receipt string, err error) {
	answer := new(wrapperspb.StringValue)
	if err := c.conn.Invoke(ctx, chargeMethod, wrapperspb.String(order), answer); err != nil {
		return "", err
	}
	return answer.GetValue(), nil
}

func (c *paymentsClient) close() { _ = c.conn.Close() }
