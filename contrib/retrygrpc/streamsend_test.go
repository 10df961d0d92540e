package retrygrpc_test

import (
	"io"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/observable-go/toolkit/contrib/retrygrpc"
	"github.com/observable-go/toolkit/resilience"
)

// uploads is a client stream that fails after so many messages, so often, and keeps what each
// attempt received.
func uploads(got *[][]string, failures, after int) func(int, testpb.TestService_StreamingInputCallServer) error {
	var mu sync.Mutex
	return func(n int, stream testpb.TestService_StreamingInputCallServer) error {
		var texts []string
		defer func() {
			mu.Lock()
			defer mu.Unlock()
			*got = append(*got, texts)
		}()
		for {
			if n <= failures && len(texts) == after {
				return down
			}
			m, err := stream.Recv()
			if err == io.EOF {
				if n <= failures {
					return down
				}
				return stream.SendAndClose(&testpb.StreamingInputCallResponse{AggregatedPayloadSize: int32(len(texts))})
			}
			if err != nil {
				return err
			}
			texts = append(texts, string(m.GetPayload().GetBody()))
		}
	}
}

func TestClientStream(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]int{"before the first message": 0, "between": 2, "after the last": 4, "at the end": 99} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got [][]string
			s := &service{upload: uploads(&got, 2, after)}
			stream, err := under(t, s, fast(2)).StreamingInputCall(t.Context())
			require.NoError(t, err)
			for _, text := range []string{"1", "2", "3", "4"} {
				require.NoError(t, stream.Send(&testpb.StreamingInputCallRequest{Payload: body(text)}))
			}
			answer, err := stream.CloseAndRecv()
			require.NoError(t, err)
			assert.Equal(t, int32(4), answer.GetAggregatedPayloadSize())
			require.Len(t, got, 3)
			assert.Equal(t, []string{"1", "2", "3", "4"}, got[2], "all that was sent is sent again, in its order")
			assert.Equal(t, []string{"", "1", "2"}, s.sent("grpc-previous-rpc-attempts"))
		})
	}
}

// Beyond the limit nothing is kept, and so nothing repeated; until then nothing is lost.
func TestReplayLimit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ limit, messages, calls int }{
		"none":    {0, 1, 1},
		"fits":    {10_000, 4, 2},
		"is over": {100, 4, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got [][]string
			s := &service{upload: uploads(&got, 1, 99)}
			stream, err := under(t, s, fast(3), retrygrpc.WithReplayLimit(c.limit)).StreamingInputCall(t.Context())
			require.NoError(t, err)
			for range c.messages {
				require.NoError(t, stream.Send(&testpb.StreamingInputCallRequest{Payload: body("x")}))
			}
			_, err = stream.CloseAndRecv()
			assert.Equal(t, c.calls, s.count())
			if c.calls == 1 {
				assert.Equal(t, codes.Unavailable, status.Code(err))
				assert.Equal(t, "down", status.Convert(err).Message())
				assert.Equal(t, resilience.ClassRetryable, resilience.Classify(err), "the caller can send it again")
			} else {
				require.NoError(t, err)
			}
		})
	}
	// The one request of a server stream is kept in any case.
	s := &service{download: list(2, "a")}
	stream, err := under(t, s, fast(2), retrygrpc.WithReplayLimit(0)).StreamingOutputCall(t.Context(), question("?"))
	require.NoError(t, err)
	_, err = stream.Recv()
	require.NoError(t, err)
}

// A sender who does not receive is told that the stream is dead as soon as it is not kept.
func TestSenderIsToldOfADeadStream(t *testing.T) {
	t.Parallel()
	var got [][]string
	s := &service{upload: uploads(&got, 99, 0)}
	stream, err := under(t, s, fast(3), retrygrpc.WithReplayLimit(1000)).StreamingInputCall(t.Context())
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		return stream.Send(&testpb.StreamingInputCallRequest{Payload: body("x")}) == io.EOF
	}, 10*time.Second, time.Millisecond)
	_, err = stream.CloseAndRecv()
	assert.Equal(t, codes.Unavailable, status.Code(err))
}

// echo answers each message, after failing so often once it has received so many.
func echo(failures, after int) func(int, testpb.TestService_FullDuplexCallServer) error {
	return func(n int, stream testpb.TestService_FullDuplexCallServer) error {
		for received := 0; ; received++ {
			if n <= failures && received == after {
				return down
			}
			m, err := stream.Recv()
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			if n > failures {
				if err := stream.Send(reply(string(m.GetPayload().GetBody()))); err != nil {
					return err
				}
			}
		}
	}
}

func TestBidi(t *testing.T) {
	t.Parallel()
	s := &service{chat: echo(2, 1)}
	stream, err := under(t, s, fast(2)).FullDuplexCall(t.Context())
	require.NoError(t, err)
	for _, text := range []string{"1", "2", "3"} { // in turn, by one goroutine
		require.NoError(t, stream.Send(question(text)))
		m, err := stream.Recv()
		require.NoError(t, err)
		assert.Equal(t, text, string(m.GetPayload().GetBody()))
	}
	require.NoError(t, stream.CloseSend())
	_, err = stream.Recv()
	assert.Equal(t, io.EOF, err)
	assert.Equal(t, 3, s.count())
}

// Two goroutines, as gRPC allows: nothing is lost, doubled or out of order. The messages are
// more than flow control lets pass before somebody reads the answers.
func TestBidiBySenderAndReceiver(t *testing.T) {
	t.Parallel()
	const messages = 200
	large := string(make([]byte, 4000))
	s := &service{chat: echo(3, 50)}
	stream, err := under(t, s, fast(3)).FullDuplexCall(t.Context())
	require.NoError(t, err)
	sent := make(chan error, 1)
	go func() {
		for i := range messages {
			if err := stream.Send(question(string(rune('a'+i%26)) + large)); err != nil {
				sent <- err
				return
			}
		}
		sent <- stream.CloseSend()
	}()
	got, err := drain(stream.Recv)
	assert.Equal(t, io.EOF, err)
	require.NoError(t, <-sent)
	require.Len(t, got, messages)
	for i, text := range got {
		require.Equal(t, byte('a'+i%26), text[0])
	}
	assert.Equal(t, 4, s.count())
}
