package retrygrpc_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/observable-go/toolkit/contrib/retrygrpc"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retry"
)

// retryInfo returns a failure that says when to come back.
func retryInfo(code codes.Code, delay *durationpb.Duration) error {
	s, err := status.New(code, "later").WithDetails(&errdetails.ErrorInfo{Reason: "R"}, &errdetails.RetryInfo{RetryDelay: delay})
	if err != nil {
		return err
	}
	return s.Err()
}

func TestPushback(t *testing.T) {
	t.Parallel()
	const year = 365 * 24 * time.Hour
	exhausted := status.Error(codes.ResourceExhausted, "later")
	for name, c := range map[string]struct {
		err             error
		header, trailer metadata.MD
		want            time.Duration
		class           resilience.Class
	}{
		"none":                      {err: exhausted, class: resilience.ClassUnknown},
		"retry info":                {err: retryInfo(codes.ResourceExhausted, durationpb.New(3*time.Second)), want: 3 * time.Second},
		"of unavailable":            {err: retryInfo(codes.Unavailable, durationpb.New(time.Second)), want: time.Second},
		"retry info of none":        {err: retryInfo(codes.ResourceExhausted, nil), class: resilience.ClassUnknown},
		"retry info of zero":        {err: retryInfo(codes.ResourceExhausted, durationpb.New(0)), class: resilience.ClassUnknown},
		"negative retry info":       {err: retryInfo(codes.Unavailable, durationpb.New(-time.Second))},
		"huge retry info":           {err: retryInfo(codes.Unavailable, &durationpb.Duration{Seconds: 1 << 62, Nanos: 1 << 30}), want: year},
		"of what is not repeated":   {err: retryInfo(codes.NotFound, durationpb.New(time.Second)), class: resilience.ClassPermanent},
		"of what nobody knows":      {err: retryInfo(codes.Internal, durationpb.New(time.Second)), class: resilience.ClassUnknown},
		"retry-after in a trailer":  {err: exhausted, trailer: metadata.Pairs("retry-after", "7"), want: 7 * time.Second},
		"retry-after in a header":   {err: exhausted, header: metadata.Pairs("Retry-After", " 8 "), want: 8 * time.Second},
		"retry-after that is none":  {err: exhausted, trailer: metadata.Pairs("retry-after", "soon"), class: resilience.ClassUnknown},
		"retry-after NaN":           {err: exhausted, trailer: metadata.Pairs("retry-after", "NaN"), class: resilience.ClassUnknown},
		"negative retry-after":      {err: exhausted, trailer: metadata.Pairs("retry-after", "-3"), class: resilience.ClassUnknown},
		"huge retry-after":          {err: exhausted, trailer: metadata.Pairs("retry-after", "99999999999999999999999"), want: year},
		"large retry-after":         {err: exhausted, trailer: metadata.Pairs("retry-after", "9223372036"), want: year},
		"past date":                 {err: exhausted, trailer: metadata.Pairs("retry-after", "Fri, 31 Dec 1999 23:59:59 GMT"), class: resilience.ClassUnknown},
		"far date":                  {err: exhausted, trailer: metadata.Pairs("retry-after", "Fri, 31 Dec 9999 23:59:59 GMT"), want: year},
		"milliseconds":              {err: exhausted, trailer: metadata.Pairs("grpc-retry-pushback-ms", "1500"), want: 1500 * time.Millisecond},
		"at once":                   {err: exhausted, trailer: metadata.Pairs("grpc-retry-pushback-ms", "0"), want: 1},
		"huge milliseconds":         {err: exhausted, trailer: metadata.Pairs("grpc-retry-pushback-ms", "9223372036854775807"), want: year},
		"milliseconds in a header":  {err: exhausted, header: metadata.Pairs("grpc-retry-pushback-ms", "5"), class: resilience.ClassUnknown},
		"negative milliseconds":     {err: exhausted, trailer: metadata.Pairs("grpc-retry-pushback-ms", "-1"), class: resilience.ClassRefused},
		"malformed milliseconds":    {err: exhausted, trailer: metadata.Pairs("grpc-retry-pushback-ms", "1s"), class: resilience.ClassRefused},
		"beyond all milliseconds":   {err: exhausted, trailer: metadata.Pairs("grpc-retry-pushback-ms", "99999999999999999999"), class: resilience.ClassRefused},
		"two words":                 {err: exhausted, trailer: metadata.Pairs("grpc-retry-pushback-ms", "1", "grpc-retry-pushback-ms", "2"), class: resilience.ClassRefused},
		"x-should-retry":            {err: down, header: metadata.Pairs("x-should-retry", "false"), class: resilience.ClassRefused},
		"refused, and not repeated": {err: status.Error(codes.NotFound, ""), trailer: metadata.Pairs("x-should-retry", "False"), class: resilience.ClassRefused},
		"the longest": {
			err:     retryInfo(codes.ResourceExhausted, durationpb.New(2*time.Second)),
			header:  metadata.Pairs("retry-after", "1"),
			trailer: metadata.Pairs("retry-after", "4", "grpc-retry-pushback-ms", "3000"), want: 4 * time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &service{
				unary: func(ctx context.Context, _ int, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
					_ = grpc.SetHeader(ctx, c.header)
					_ = grpc.SetTrailer(ctx, c.trailer)
					return nil, c.err
				},
				download: func(_ int, _ *testpb.StreamingOutputCallRequest, stream testpb.TestService_StreamingOutputCallServer) error {
					if c.header != nil {
						_ = stream.SetHeader(c.header)
					}
					stream.SetTrailer(c.trailer)
					return c.err
				},
			}
			if c.class == resilience.ClassUnknown && c.want > 0 || name == "negative retry info" {
				c.class = resilience.ClassRetryable
			}
			var seen probe
			stub := under(t, s, &seen)
			for _, call := range []func() error{
				func() error { _, err := stub.UnaryCall(t.Context(), &testpb.SimpleRequest{}); return err },
				func() error {
					stream, err := stub.StreamingOutputCall(t.Context(), question("?"))
					if err == nil {
						_, err = stream.Recv()
					}
					return err
				},
			} {
				err := call()
				assert.Equal(t, status.Code(c.err), status.Code(err))
				assert.Equal(t, c.class, resilience.Classify(seen.err))
				after, _ := resilience.Pushback(seen.err)
				if c.class == resilience.ClassRefused {
					failure, asked := resilience.CalleeError(seen.err)
					assert.True(t, asked, "the callee was asked")
					assert.NotEqual(t, resilience.ClassRefused, resilience.Classify(failure), "and breakers judge it")
					continue
				}
				assert.Equal(t, c.want, after)
			}
		})
	}
}

func TestRetryAfterDate(t *testing.T) {
	t.Parallel()
	s := &service{unary: func(ctx context.Context, _ int, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		_ = grpc.SetTrailer(ctx, metadata.Pairs("retry-after", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)))
		return nil, status.Error(codes.ResourceExhausted, "later")
	}}
	var seen probe
	_, err := under(t, s, &seen).UnaryCall(t.Context(), &testpb.SimpleRequest{})
	require.Error(t, err)
	after, _ := resilience.Pushback(seen.err)
	assert.InDelta(t, time.Hour, after, float64(10*time.Second))
}

// The policy obeys: at once, or not at all if that is longer than it may wait.
func TestPolicyObeysPushback(t *testing.T) {
	t.Parallel()
	for ms, calls := range map[string]int{"0": 2, "3600000": 1, "-1": 1} {
		s := &service{unary: func(ctx context.Context, n int, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			if n == 1 {
				_ = grpc.SetTrailer(ctx, metadata.Pairs("grpc-retry-pushback-ms", ms))
				return nil, down
			}
			return &testpb.SimpleResponse{}, nil
		}}
		slow := retry.MustNew("slow", retry.WithInitialDelay(time.Minute))
		ctx, gaveUp := resilience.WatchGaveUp(t.Context())
		_, err := under(t, s, slow).UnaryCall(ctx, &testpb.SimpleRequest{})
		assert.Equal(t, calls, s.count(), ms)
		assert.Equal(t, calls == 2, err == nil)
		assert.Equal(t, calls == 1, gaveUp(), "and it is told to whoever called us")
	}
	// One may know better.
	s := &service{unary: func(ctx context.Context, n int, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		_ = grpc.SetTrailer(ctx, metadata.Pairs("grpc-retry-pushback-ms", "-1"))
		return failFirst(1, codes.Unavailable)(ctx, n, nil)
	}}
	_, err := under(t, s, fast(1), retrygrpc.WithIgnoreShouldRetry()).UnaryCall(t.Context(), &testpb.SimpleRequest{})
	require.NoError(t, err)
}

// A message that is too large has the code of a throttled call.
func TestTooLargeIsNotThrottled(t *testing.T) {
	t.Parallel()
	s := &service{unary: failFirst(0, codes.OK)}
	stub := under(t, s, fast(1))
	for _, opt := range []grpc.CallOption{grpc.MaxCallSendMsgSize(1), grpc.MaxCallRecvMsgSize(1)} {
		_, err := stub.UnaryCall(t.Context(), &testpb.SimpleRequest{ResponseSize: 1000, Payload: body("hello")}, opt)
		assert.Equal(t, codes.ResourceExhausted, status.Code(err))
		assert.False(t, resilience.Throttled(err))
		assert.Equal(t, resilience.ClassPermanent, resilience.Classify(err), "no breaker opens because of it")
	}
}
