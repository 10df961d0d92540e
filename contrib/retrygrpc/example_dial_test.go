package retrygrpc_test

import (
	"context"
	"fmt"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/observable-go/toolkit/contrib/retrygrpc"
	"github.com/observable-go/toolkit/resilience/bulkhead"
	"github.com/observable-go/toolkit/resilience/retry"
)

// flaky answers every third call.
type flaky struct {
	testpb.UnimplementedTestServiceServer

	calls int
}

func (f *flaky) UnaryCall(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	if f.calls++; f.calls%3 != 0 {
		return nil, status.Error(codes.Unavailable, "restarting")
	}
	return &testpb.SimpleResponse{Username: "gopher"}, nil
}

// start runs a server on this machine and returns its address.
func start(service testpb.TestServiceServer, opts ...grpc.ServerOption) (address string, stop func()) {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	server := grpc.NewServer(opts...)
	testpb.RegisterTestServiceServer(server, service)
	go func() { _ = server.Serve(listener) }()
	return listener.Addr().String(), server.Stop
}

func ExampleDialOptions() {
	address, stop := start(new(flaky))
	defer stop()

	policy := retry.MustNew("users", retry.WithInitialDelay(0))
	conn, err := grpc.NewClient(address, append(retrygrpc.DialOptions(policy),
		grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	client := testpb.NewTestServiceClient(conn)

	user, err := client.UnaryCall(context.Background(), &testpb.SimpleRequest{})
	fmt.Println(user.GetUsername(), err)

	_, err = client.UnaryCall(context.Background(), &testpb.SimpleRequest{}, retrygrpc.CallPolicy(nil))
	fmt.Println(status.Code(err))
	// Output:
	// gopher <nil>
	// Unavailable
}

func ExampleNew() {
	policy := retry.MustNew("users", retry.WithInitialDelay(0), retry.WithMaxRetries(1))
	client, err := retrygrpc.New(policy,
		retrygrpc.WithMethods(retrygrpc.Idempotent), // the others run once
		retrygrpc.WithCodes(codes.Unavailable, codes.Internal),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = client.DialOptions() // for grpc.NewClient

	_, err = retrygrpc.New(policy, retrygrpc.WithCodes(codes.OK))
	fmt.Println(err)
	// Output:
	// retrygrpc: codes: 0 is not allowed: want 1 to 16, the codes of failures
}

func ExampleNewServer() {
	guard := bulkhead.MustNew("users", 100)
	server, err := retrygrpc.NewServer(retrygrpc.WithGuard(guard))
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = grpc.NewServer(server.ServerOptions()...)

	_, err = retrygrpc.NewServer(retrygrpc.WithGuard(retry.MustNew("users")))
	fmt.Println(err)
	// Output:
	// retrygrpc: guard: a policy that repeats is not allowed: want one that calls an operation once
}
