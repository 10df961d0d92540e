package retrygrpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
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

	"github.com/observable-go/toolkit/contrib/retrygrpc"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/breaker"
	"github.com/observable-go/toolkit/resilience/bulkhead"
	"github.com/observable-go/toolkit/resilience/ratelimit"
	"github.com/observable-go/toolkit/resilience/retry"
)

// layers is a row of three services with 3 attempts each, of which the last one fails by a
// script, and the first is called by a client with 3 attempts too: it is one of the three.
func threeLayers(t *testing.T, last *service, client []retrygrpc.Option, server []retrygrpc.ServerOption) testpb.TestServiceClient {
	t.Helper()
	options := retrygrpc.MustNewServer(server...).ServerOptions()
	address := serve(t, last, options...)
	for range 2 {
		next, _ := dial(t, address, retrygrpc.MustNew(fast(2), client...).DialOptions()...)
		address = serve(t, &service{unary: func(ctx context.Context, _ int, req *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			return next.UnaryCall(ctx, req)
		}}, options...)
	}
	stub, _ := dial(t, address, retrygrpc.MustNew(fast(2), client...).DialOptions()...)
	return stub
}

// Three layers that retry, each with 3 attempts: the leaf is called 27 times if nobody tells
// the others, and 3 times if everybody does.
func TestRetriesOfLayersDoNotMultiply(t *testing.T) {
	t.Parallel()
	const seed = 7
	calls := 1000
	if raceEnabled {
		calls = 100
	}
	table := "signals            calls of the leaf   success at 50 % failures\n"
	for _, c := range []struct {
		name   string
		client []retrygrpc.Option
		server []retrygrpc.ServerOption
		want   int
	}{
		{
			"none", []retrygrpc.Option{retrygrpc.WithoutSignals(), retrygrpc.WithIgnoreShouldRetry()},
			[]retrygrpc.ServerOption{retrygrpc.WithOwnRetries(), retrygrpc.WithoutShouldRetry()}, 27,
		},
		{"of the request", []retrygrpc.Option{retrygrpc.WithIgnoreShouldRetry()}, []retrygrpc.ServerOption{retrygrpc.WithoutShouldRetry()}, 7},
		{"both", nil, nil, 3},
	} {
		last := &service{unary: failFirst(1000, codes.Unavailable)}
		_, err := threeLayers(t, last, c.client, c.server).UnaryCall(t.Context(), &testpb.SimpleRequest{})
		assert.Equal(t, codes.Unavailable, status.Code(err))
		assert.Equal(t, c.want, last.count(), c.name)

		chance := rand.New(rand.NewPCG(seed, seed))
		stub := threeLayers(t, &service{unary: func(context.Context, int, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			if chance.Float64() < 0.5 { // one call at a time
				return nil, down
			}
			return &testpb.SimpleResponse{}, nil
		}}, c.client, c.server)
		succeeded := 0
		for range calls {
			if _, err := stub.UnaryCall(t.Context(), &testpb.SimpleRequest{}); err == nil {
				succeeded++
			}
		}
		assert.Greater(t, succeeded, calls*7/10)
		table += fmt.Sprintf("%-18s %17d   %24.3f\n", c.name, last.count(), float64(succeeded)/float64(calls))
	}
	t.Logf("%d calls, seed %d\n%s", calls, seed, table)
}

// What a handler sees of the retries of its client.
func TestServerReadsSignals(t *testing.T) {
	t.Parallel()
	var numbers []int
	look := func(ctx context.Context) error {
		number := 0
		if a := resilience.AttemptFrom(ctx); a != nil {
			assert.True(t, a.Remote)
			number = a.Number
		}
		numbers = append(numbers, number)
		assert.Equal(t, number == 0, resilience.MayRetry(ctx))
		return down
	}
	s := &service{
		unary: func(ctx context.Context, _ int, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			return nil, look(ctx)
		},
		chat: func(_ int, stream testpb.TestService_FullDuplexCallServer) error { return look(stream.Context()) },
	}
	stub, _ := dial(t, serve(t, s, retrygrpc.ServerOptions()...), retrygrpc.DialOptions(fast(2))...)
	_, err := stub.UnaryCall(t.Context(), &testpb.SimpleRequest{})
	require.Error(t, err)
	assert.Equal(t, []int{0, 2, 3}, numbers)

	stream, err := stub.FullDuplexCall(t.Context())
	require.NoError(t, err)
	_, err = stream.Recv()
	require.Error(t, err)
	assert.Equal(t, []int{0, 2, 3, 0, 2, 3}, numbers)

	// Anybody may claim anything.
	for claim, number := range map[string]int{"1": 2, "9999": 100, "-1": 0, "x": 0, "": 0, "99999999999999999999": 0} {
		numbers = nil
		plain, _ := dial(t, serve(t, s, retrygrpc.ServerOptions()...))
		_, err = plain.UnaryCall(metadata.AppendToOutgoingContext(t.Context(), "grpc-previous-rpc-attempts", claim), &testpb.SimpleRequest{})
		require.Error(t, err)
		assert.Equal(t, []int{number}, numbers, claim)
	}
}

// A failure is told not to be repeated only if retries were made for it, in streams too.
func TestServerTellsThatItGaveUp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		retries int
		fails   error
		result  func(error) error
		options []retrygrpc.ServerOption
		want    []string
	}{
		"gave up":           {2, resilience.Retryable(errors.New("leaf")), nil, nil, []string{"-1"}},
		"without retries":   {0, resilience.Retryable(errors.New("leaf")), nil, nil, nil},
		"not repeatable":    {2, errors.New("leaf"), nil, nil, nil},
		"handled after all": {2, resilience.Retryable(errors.New("leaf")), func(error) error { return nil }, nil, nil},
		"not to be told":    {2, resilience.Retryable(errors.New("leaf")), nil, []retrygrpc.ServerOption{nil, retrygrpc.WithoutShouldRetry()}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			handle := func(ctx context.Context) error {
				err := fast(c.retries).Do(ctx, func(context.Context) error { return c.fails })
				if c.result != nil {
					err = c.result(err)
				}
				return err
			}
			s := &service{
				unary: func(ctx context.Context, _ int, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
					return &testpb.SimpleResponse{}, handle(ctx)
				},
				chat: func(_ int, stream testpb.TestService_FullDuplexCallServer) error { return handle(stream.Context()) },
			}
			stub, _ := dial(t, serve(t, s, retrygrpc.MustNewServer(c.options...).ServerOptions()...))
			var trailer metadata.MD
			_, _ = stub.UnaryCall(t.Context(), &testpb.SimpleRequest{}, grpc.Trailer(&trailer))
			assert.Equal(t, c.want, trailer.Get("grpc-retry-pushback-ms"))
			stream, err := stub.FullDuplexCall(t.Context())
			require.NoError(t, err)
			_, err = stream.Recv()
			require.Error(t, err)
			assert.Equal(t, c.want, stream.Trailer().Get("grpc-retry-pushback-ms"))
		})
	}
}

// What handlers return becomes a code that says something.
func TestErrorsOfHandlers(t *testing.T) {
	t.Parallel()
	broken := resilience.Retryable(errors.New("leaf"))
	for name, c := range map[string]struct {
		err  func(ctx context.Context) error
		want codes.Code
	}{
		"status":           {func(context.Context) error { return status.Error(codes.NotFound, "no") }, codes.NotFound},
		"wrapped status":   {func(context.Context) error { return fmt.Errorf("b: %w", status.Error(codes.DataLoss, "no")) }, codes.DataLoss},
		"plain":            {func(context.Context) error { return io.ErrClosedPipe }, codes.Unknown},
		"gave up":          {func(ctx context.Context) error { return fast(1).Do(ctx, func(context.Context) error { return broken }) }, codes.Unavailable},
		"gave up a status": {func(ctx context.Context) error { return fast(1).Do(ctx, func(context.Context) error { return down }) }, codes.Unavailable},
		"breaker":          {func(context.Context) error { return &breaker.OpenError{Name: "b"} }, codes.Unavailable},
		"bulkhead":         {func(context.Context) error { return &bulkhead.FullError{Name: "b"} }, codes.ResourceExhausted},
		"no time": {func(context.Context) error {
			return &retry.Error{Reason: retry.ErrDeadline, Last: errors.New("leaf")}
		}, codes.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &service{unary: func(ctx context.Context, _ int, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
				return nil, c.err(ctx)
			}}
			stub, _ := dial(t, serve(t, s, retrygrpc.ServerOptions()...))
			_, err := stub.UnaryCall(t.Context(), &testpb.SimpleRequest{})
			assert.Equal(t, c.want, status.Code(err))
		})
	}
}

// A guard refuses with what a client needs to come back.
func TestGuard(t *testing.T) {
	t.Parallel()
	ok := failFirst(0, codes.OK)
	broken := breaker.MustNew("b", breaker.WithConsecutiveFailures(1), breaker.WithOpenTime(time.Minute))
	_ = broken.Do(t.Context(), func(context.Context) error { return errors.New("broken") })
	slow := ratelimit.MustNew("r", 1.0/3600)
	_ = slow.Do(t.Context(), func(context.Context) error { return nil })
	for name, c := range map[string]struct {
		guard resilience.Policy
		code  codes.Code
		after time.Duration
	}{
		"breaker":    {broken, codes.Unavailable, time.Minute},
		"rate limit": {resilience.Chain(slow, broken), codes.ResourceExhausted, time.Hour},
		"nothing":    {resilience.PolicyFunc(func(context.Context, resilience.Operation) error { return nil }), codes.Internal, 0},
		"status": {resilience.PolicyFunc(func(context.Context, resilience.Operation) error {
			return status.Error(codes.Unauthenticated, "who?")
		}), codes.Unauthenticated, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &service{unary: ok, chat: echo(0, 0)}
			stub, _ := dial(t, serve(t, s, retrygrpc.MustNewServer(retrygrpc.WithGuard(c.guard)).ServerOptions()...))
			var trailer metadata.MD
			_, err := stub.UnaryCall(t.Context(), &testpb.SimpleRequest{}, grpc.Trailer(&trailer))
			assert.Equal(t, c.code, status.Code(err))
			stream, failed := stub.FullDuplexCall(t.Context())
			require.NoError(t, failed)
			_, failed = stream.Recv()
			assert.Equal(t, c.code, status.Code(failed))
			assert.Zero(t, s.count())
			if c.after == 0 {
				assert.Empty(t, trailer.Get("grpc-retry-pushback-ms"))
				return
			}
			require.Len(t, trailer.Get("grpc-retry-pushback-ms"), 1)
			info, is := status.Convert(err).Details()[0].(*errdetails.RetryInfo)
			require.True(t, is)
			assert.InDelta(t, c.after, info.GetRetryDelay().AsDuration(), float64(time.Minute))

			// And a client of ours reads it.
			var seen probe
			client, _ := dial(t, serve(t, s, retrygrpc.MustNewServer(retrygrpc.WithGuard(c.guard)).ServerOptions()...), retrygrpc.DialOptions(&seen)...)
			_, err = client.UnaryCall(t.Context(), &testpb.SimpleRequest{})
			require.Error(t, err)
			after, known := resilience.Pushback(seen.err)
			require.True(t, known)
			assert.InDelta(t, c.after, after, float64(time.Minute))
		})
	}
}

// A breaker around handlers opens for what is broken, and not for what does not exist.
func TestGuardJudgesHandlers(t *testing.T) {
	t.Parallel()
	for code, opens := range map[codes.Code]bool{codes.NotFound: false, codes.Internal: true} {
		s := &service{unary: failFirst(99, code)}
		guard := breaker.MustNew("b", breaker.WithConsecutiveFailures(2))
		stub, _ := dial(t, serve(t, s, retrygrpc.MustNewServer(retrygrpc.WithGuard(guard)).ServerOptions()...))
		for range 2 {
			_, err := stub.UnaryCall(t.Context(), &testpb.SimpleRequest{})
			assert.Equal(t, code, status.Code(err))
		}
		_, err := stub.UnaryCall(t.Context(), &testpb.SimpleRequest{})
		assert.Equal(t, opens, status.Code(err) == codes.Unavailable)
	}
}

func TestInvalid(t *testing.T) {
	t.Parallel()
	for want, opt := range map[string]retrygrpc.Option{
		"retrygrpc: codes: 0 is not allowed: want 1 to 16, the codes of failures": retrygrpc.WithCodes(codes.Unavailable, codes.OK),
		"retrygrpc: codes: 17 is not allowed":                                     retrygrpc.WithCodes(17),
		"retrygrpc: methods: nil is not allowed: want a function":                 retrygrpc.WithMethods(nil),
		`retrygrpc: policies: "a.B/C" is not allowed`:                             retrygrpc.WithPolicies(map[string]resilience.Policy{"a.B/C": nil}),
		`retrygrpc: policies: "/a.B/" is not allowed`:                             retrygrpc.WithPolicies(map[string]resilience.Policy{"/a.B/": nil}),
		`retrygrpc: policies: "" is not allowed`:                                  retrygrpc.WithPolicies(map[string]resilience.Policy{"": nil}),
		"retrygrpc: replay_limit: -1 is not allowed: want 0 to 1073741824":        retrygrpc.WithReplayLimit(-1),
		"retrygrpc: replay_limit: 1073741825 is not allowed":                      retrygrpc.WithReplayLimit(1<<30 + 1),
	} {
		_, err := retrygrpc.New(nil, nil, opt)
		require.ErrorContains(t, err, want)
		assert.Panics(t, func() { retrygrpc.MustNew(nil, opt) })
	}
	again := retry.MustNew("r", retry.WithBackoff(backoff.Constant{}))
	for _, guard := range []resilience.Policy{nil, again, resilience.Chain(bulkhead.MustNew("b", 1), again)} {
		_, err := retrygrpc.NewServer(retrygrpc.WithGuard(guard))
		require.ErrorContains(t, err, "retrygrpc: guard: ")
		assert.Panics(t, func() { retrygrpc.MustNewServer(retrygrpc.WithGuard(guard)) })
	}
}
