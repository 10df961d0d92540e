package retrygrpc_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/baggage"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/observable-go/toolkit/contrib/retrygrpc"
	"github.com/observable-go/toolkit/internal/signaltest"
	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/retry"
)

// Telemetry names failures by their code, for streams as for unary calls, and counts one call.
func TestTelemetry(t *testing.T) {
	t.Parallel()
	signals := signaltest.New()
	policy := retry.MustNew("orders", retry.WithBackoff(backoff.Constant{}), retry.WithMaxRetries(2), retry.WithTelemetry(signals.Metrics()...))
	s := &service{unary: failFirst(1, codes.Unavailable), download: list(3, "a")}
	stub := under(t, s, policy)
	_, err := stub.UnaryCall(t.Context(), &testpb.SimpleRequest{}) // calls 1 and 2
	require.NoError(t, err)
	stream, err := stub.StreamingOutputCall(t.Context(), question("?")) // 3 and 4
	require.NoError(t, err)
	_, err = stream.Recv()
	require.NoError(t, err)
	s.unary = failFirst(99, codes.NotFound)
	_, err = stub.UnaryCall(t.Context(), &testpb.SimpleRequest{})
	assert.Equal(t, codes.NotFound, status.Code(err))

	calls := signals.Metric(t, "resilience.retry.calls")
	assert.Equal(t, map[string]float64{"success_after_retry orders": 2, "NOT_FOUND not_retryable orders": 1}, positive(calls))
	attempts := signals.Metric(t, "resilience.retry.attempts")
	assert.Equal(t, map[string]float64{"success orders": 2, "UNAVAILABLE failure orders": 2, "NOT_FOUND failure orders": 1}, positive(attempts))
}

func positive(points map[string]float64) map[string]float64 {
	for key, value := range points {
		if value == 0 {
			delete(points, key)
		}
	}
	return points
}

// A repeated attempt is sent under a baggage that says so, for services in between.
func TestBaggage(t *testing.T) {
	t.Parallel()
	var members []string
	look := grpc.WithChainUnaryInterceptor(
		func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			members = append(members, baggage.FromContext(ctx).String())
			return invoke(ctx, method, req, reply, cc, opts...)
		})
	stub, _ := dial(t, serve(t, &service{unary: failFirst(2, codes.Unavailable)}), append(retrygrpc.DialOptions(fast(2)), look)...)
	_, err := stub.UnaryCall(t.Context(), &testpb.SimpleRequest{})
	require.NoError(t, err)
	assert.Equal(t, []string{"", "resilience.previous_attempts=1", "resilience.previous_attempts=2"}, members)
}

// Interceptors that stand before are called once a call, those that stand after once an attempt.
func TestChained(t *testing.T) {
	t.Parallel()
	count := func(n *int) []grpc.DialOption {
		return []grpc.DialOption{
			grpc.WithChainUnaryInterceptor(
				func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
					*n++
					return invoke(ctx, method, req, reply, cc, opts...)
				}),
			grpc.WithChainStreamInterceptor(
				func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
					*n++
					return streamer(ctx, desc, cc, method, opts...)
				}),
		}
	}
	var before, after int
	options := append(count(&before), retrygrpc.DialOptions(fast(2))...)
	s := &service{unary: failFirst(2, codes.Unavailable), download: list(5, "a")}
	stub, _ := dial(t, serve(t, s), append(options, count(&after)...)...)
	_, err := stub.UnaryCall(t.Context(), &testpb.SimpleRequest{})
	require.NoError(t, err)
	stream, err := stub.StreamingOutputCall(t.Context(), question("?"))
	require.NoError(t, err)
	_, err = stream.Recv()
	require.NoError(t, err)
	assert.Equal(t, 2, before)
	assert.Equal(t, 3+3, after)
}

// merging is a codec that leaves in a message what was there, as some do.
type merging struct{}

func (merging) Marshal(v any) ([]byte, error) { return proto.Marshal(v.(proto.Message)) }
func (merging) Name() string                  { return "proto" }

func (merging) Unmarshal(data []byte, v any) error {
	return proto.UnmarshalOptions{Merge: true}.Unmarshal(data, v.(proto.Message))
}

// What an attempt received that failed is not left in the message of the next.
func TestMessagesDoNotMerge(t *testing.T) {
	t.Parallel()
	n := 0
	server := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		if err := stream.RecvMsg(new(testpb.SimpleRequest)); err != nil {
			return err
		}
		if n++; n == 1 { // an answer, and then a failure
			_ = stream.SendMsg(&testpb.SimpleResponse{Username: "wrong", OauthScope: "left over"})
			return down
		}
		return stream.SendMsg(&testpb.SimpleResponse{Username: "right"})
	}))
	l := listen(t)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	stub, _ := dial(t, l.Addr().String(), retrygrpc.DialOptions(fast(2))...)
	answer, err := stub.UnaryCall(t.Context(), &testpb.SimpleRequest{}, grpc.ForceCodec(merging{}))
	require.NoError(t, err)
	assert.Equal(t, 2, n)
	assert.Equal(t, "right", answer.GetUsername())
	assert.Empty(t, answer.GetOauthScope())
}

func TestIdempotent(t *testing.T) {
	t.Parallel()
	level := func(l descriptorpb.MethodOptions_IdempotencyLevel) *descriptorpb.MethodOptions {
		return &descriptorpb.MethodOptions{IdempotencyLevel: l.Enum()}
	}
	method := func(name string, options *descriptorpb.MethodOptions) *descriptorpb.MethodDescriptorProto {
		return &descriptorpb.MethodDescriptorProto{
			Name: &name, InputType: new(".retrygrpc.test.M"), OutputType: new(".retrygrpc.test.M"), Options: options,
		}
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: new("retrygrpc/test.proto"), Package: new("retrygrpc.test"),
		MessageType: []*descriptorpb.DescriptorProto{{Name: new("M")}},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: new("S"), Method: []*descriptorpb.MethodDescriptorProto{
			method("Get", level(descriptorpb.MethodOptions_NO_SIDE_EFFECTS)),
			method("Put", level(descriptorpb.MethodOptions_IDEMPOTENT)),
			method("Post", level(descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN)),
			method("Add", nil),
		}}},
	}, nil)
	require.NoError(t, err)
	if _, err := protoregistry.GlobalFiles.FindFileByPath(file.Path()); err != nil { // once, however often the test runs
		require.NoError(t, protoregistry.GlobalFiles.RegisterFile(file))
	}
	for name, want := range map[string]bool{
		"/retrygrpc.test.S/Get": true, "/retrygrpc.test.S/Put": true,
		"/retrygrpc.test.S/Post": false, "/retrygrpc.test.S/Add": false, "/retrygrpc.test.S/None": false,
		"/retrygrpc.test.S": false, "/retrygrpc.test.M": false, "": false, "/": false, "//": false, "retrygrpc": false,
		testpb.TestService_UnaryCall_FullMethodName: false,
	} {
		assert.Equal(t, want, retrygrpc.Idempotent(name), name)
	}
}
