package retrygrpc_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/observable-go/toolkit/contrib/retrygrpc"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retry"
)

// probe is a policy that runs an operation once and keeps its error.
type probe struct{ err error }

func (p *probe) Do(ctx context.Context, op resilience.Operation) error {
	p.err = op(ctx)
	return p.err
}

func TestCodes(t *testing.T) {
	t.Parallel()
	const (
		retryable = resilience.ClassRetryable
		permanent = resilience.ClassPermanent
		unknown   = resilience.ClassUnknown
	)
	for code, want := range map[codes.Code]struct {
		name  string
		class resilience.Class
	}{
		codes.Canceled:           {"CANCELLED", permanent},
		codes.Unknown:            {"UNKNOWN", unknown},
		codes.InvalidArgument:    {"INVALID_ARGUMENT", permanent},
		codes.DeadlineExceeded:   {"DEADLINE_EXCEEDED", unknown},
		codes.NotFound:           {"NOT_FOUND", permanent},
		codes.AlreadyExists:      {"ALREADY_EXISTS", permanent},
		codes.PermissionDenied:   {"PERMISSION_DENIED", permanent},
		codes.ResourceExhausted:  {"RESOURCE_EXHAUSTED", unknown},
		codes.FailedPrecondition: {"FAILED_PRECONDITION", permanent},
		codes.Aborted:            {"ABORTED", permanent},
		codes.OutOfRange:         {"OUT_OF_RANGE", permanent},
		codes.Unimplemented:      {"UNIMPLEMENTED", permanent},
		codes.Internal:           {"INTERNAL", unknown},
		codes.Unavailable:        {"UNAVAILABLE", retryable},
		codes.DataLoss:           {"DATA_LOSS", unknown},
		codes.Unauthenticated:    {"UNAUTHENTICATED", permanent},
		codes.Code(99):           {"UNKNOWN", unknown},
	} {
		t.Run(want.name, func(t *testing.T) {
			t.Parallel()
			s := &service{unary: failFirst(99, code)}
			var seen probe
			_, err := under(t, s, resilience.Chain(fast(2), &seen)).UnaryCall(t.Context(), &testpb.SimpleRequest{})
			assert.Equal(t, code, status.Code(err))
			assert.Equal(t, want.class, resilience.Classify(seen.err))
			assert.Equal(t, want.name, resilience.ErrorType(err))
			assert.Equal(t, code == codes.ResourceExhausted, resilience.Throttled(err))
			sent := 1
			if want.class == retryable {
				sent = 3
				gaveUp, ok := errors.AsType[*retry.Error](err)
				require.True(t, ok)
				assert.Equal(t, 3, gaveUp.Attempts)
			} else {
				assert.Equal(t, "call 1", status.Convert(err).Message(), "the error is that of the call")
			}
			assert.Equal(t, sent, s.count())

			s = &service{unary: failFirst(2, code)}
			if code <= codes.Unauthenticated {
				_, err = under(t, s, fast(2), retrygrpc.WithCodes(code)).UnaryCall(t.Context(), &testpb.SimpleRequest{})
				require.NoError(t, err)
				assert.Equal(t, 3, s.count())
			}
		})
	}
}

// What is sent is the same bytes each time, under metadata that differ in the number alone.
func TestAttemptsAreEqual(t *testing.T) {
	t.Parallel()
	s := &service{unary: failFirst(2, codes.Unavailable)}
	stub := under(t, s, fast(3))
	md := metadata.Pairs("tenant", "blue", "tenant", "red", "raw-bin", "\x00\xff")
	before := md.Copy()
	ctx := metadata.AppendToOutgoingContext(metadata.NewOutgoingContext(t.Context(), md), "Trace", "1")
	req := &testpb.SimpleRequest{ResponseSize: 7, Payload: &testpb.Payload{Body: []byte("hello")}}
	want, err := proto.MarshalOptions{Deterministic: true}.Marshal(req)
	require.NoError(t, err)
	_, err = stub.UnaryCall(ctx, req)
	require.NoError(t, err)

	assert.Equal(t, [][]byte{want, want, want}, s.requests)
	assert.Equal(t, []string{"", "1", "2"}, s.sent("grpc-previous-rpc-attempts"))
	assert.Equal(t, []string{"blue,red", "blue,red", "blue,red"}, s.sent("tenant"))
	assert.Equal(t, []string{"\x00\xff", "\x00\xff", "\x00\xff"}, s.sent("raw-bin"))
	assert.Equal(t, []string{"1", "1", "1"}, s.sent("trace"))
	assert.Equal(t, before, md)
	after, _ := metadata.FromOutgoingContext(ctx)
	assert.Empty(t, after.Get("grpc-previous-rpc-attempts"))

	s = &service{unary: failFirst(2, codes.Unavailable)}
	_, err = under(t, s, fast(3), retrygrpc.WithoutSignals()).UnaryCall(t.Context(), req)
	require.NoError(t, err)
	assert.Equal(t, []string{"", "", ""}, s.sent("grpc-previous-rpc-attempts"))
}

// What the caller's own options tell is that of the last attempt.
func TestCallOptionsTellOfTheLastAttempt(t *testing.T) {
	t.Parallel()
	s := &service{unary: func(ctx context.Context, n int, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		key := fmt.Sprintf("only-%d", n)
		if err := errors.Join(grpc.SetHeader(ctx, metadata.Pairs(key, "h")), grpc.SetTrailer(ctx, metadata.Pairs(key, "t"))); err != nil {
			return nil, err
		}
		return failFirst(1, codes.Unavailable)(ctx, n, nil)
	}}
	var header, trailer metadata.MD
	var from peer.Peer
	var ends []error
	_, err := under(t, s, fast(3)).UnaryCall(t.Context(), &testpb.SimpleRequest{},
		grpc.Header(&header), grpc.Trailer(&trailer), grpc.Peer(&from), grpc.OnFinish(func(err error) { ends = append(ends, err) }))
	require.NoError(t, err)
	assert.Equal(t, []string{"h"}, header.Get("only-2"))
	assert.Equal(t, []string{"t"}, trailer.Get("only-2"))
	assert.Empty(t, header.Get("only-1"))
	assert.Empty(t, trailer.Get("only-1"))
	assert.NotNil(t, from.Addr)
	assert.Equal(t, []error{nil}, ends)
}

// A call option reaches nobody without an interceptor, and an interceptor when there is one.
func TestCallPolicy(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]struct {
		client  []retrygrpc.Option
		ctx     func(context.Context) context.Context
		options []grpc.CallOption
		want    int
	}{
		"of the client":         {want: 3},
		"of the call":           {options: []grpc.CallOption{retrygrpc.CallPolicy(fast(4))}, want: 5},
		"the last counts":       {options: []grpc.CallOption{retrygrpc.CallPolicy(nil), retrygrpc.CallPolicy(fast(1))}, want: 2},
		"none":                  {options: []grpc.CallOption{retrygrpc.CallPolicy(nil)}, want: 1},
		"no retries":            {ctx: resilience.NoRetry, want: 1},
		"of the method":         {client: []retrygrpc.Option{retrygrpc.WithPolicies(map[string]resilience.Policy{testpb.TestService_UnaryCall_FullMethodName: fast(3)})}, want: 4},
		"of another method":     {client: []retrygrpc.Option{retrygrpc.WithPolicies(map[string]resilience.Policy{"/a.B/C": nil})}, want: 3},
		"method without policy": {client: []retrygrpc.Option{retrygrpc.WithPolicies(map[string]resilience.Policy{testpb.TestService_UnaryCall_FullMethodName: nil})}, want: 1},
		"not to be repeated":    {client: []retrygrpc.Option{retrygrpc.WithMethods(retrygrpc.Idempotent)}, want: 1},
		"to be repeated": {client: []retrygrpc.Option{nil, retrygrpc.WithMethods(func(m string) bool {
			return m == testpb.TestService_UnaryCall_FullMethodName
		})}, want: 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &service{unary: failFirst(99, codes.Unavailable)}
			ctx := t.Context()
			if call.ctx != nil {
				ctx = call.ctx(ctx)
			}
			_, err := under(t, s, fast(2), call.client...).UnaryCall(ctx, &testpb.SimpleRequest{}, call.options...)
			assert.Equal(t, codes.Unavailable, status.Code(err))
			assert.Equal(t, call.want, s.count())
			if call.want == 1 {
				assert.Equal(t, "call 1", status.Convert(err).Message())
				assert.Equal(t, resilience.ClassRetryable, resilience.Classify(err), "the caller may know better")
			}
		})
	}
	s := &service{unary: failFirst(1, codes.Unavailable)}
	plain, _ := dial(t, serve(t, s))
	_, err := plain.UnaryCall(t.Context(), &testpb.SimpleRequest{}, retrygrpc.CallPolicy(fast(5)))
	assert.Equal(t, codes.Unavailable, status.Code(err))
	assert.Equal(t, 1, s.count())
}

// The retries of a service config are switched off.
func TestServiceConfigDoesNotMultiply(t *testing.T) {
	t.Parallel()
	const config = `{"methodConfig": [{"name": [{}], "retryPolicy": {"maxAttempts": 4, "initialBackoff": "0.001s",
		"maxBackoff": "0.001s", "backoffMultiplier": 1, "retryableStatusCodes": ["UNAVAILABLE"]}}]}`
	s := &service{unary: failFirst(99, codes.Unavailable)}
	address := serve(t, s)
	stub, _ := dial(t, address, grpc.WithDefaultServiceConfig(config))
	_, err := stub.UnaryCall(t.Context(), &testpb.SimpleRequest{})
	require.Error(t, err)
	require.Equal(t, 4, s.count(), "the config is in force without us")

	stub, _ = dial(t, address, append(retrygrpc.DialOptions(fast(2)), grpc.WithDefaultServiceConfig(config))...)
	_, err = stub.UnaryCall(t.Context(), &testpb.SimpleRequest{})
	require.Error(t, err)
	assert.Equal(t, 4+3, s.count())
}
