package retrygrpc_test

import (
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/observable-go/toolkit/contrib/retrygrpc"
	"github.com/observable-go/toolkit/resilience"
)

var down = status.Error(codes.Unavailable, "down")

func body(text string) *testpb.Payload { return &testpb.Payload{Body: []byte(text)} }

func question(text string) *testpb.StreamingOutputCallRequest {
	return &testpb.StreamingOutputCallRequest{Payload: body(text)}
}

func reply(text string) *testpb.StreamingOutputCallResponse {
	return &testpb.StreamingOutputCallResponse{Payload: body(text)}
}

// drain receives until there is an error, and returns what was received and the error.
func drain(recv func() (*testpb.StreamingOutputCallResponse, error)) (texts []string, err error) {
	for {
		m, err := recv()
		if err != nil {
			return texts, err
		}
		texts = append(texts, string(m.GetPayload().GetBody()))
	}
}

// list is a server stream that fails so often before its first message.
func list(failures int, answers ...string) func(int, *testpb.StreamingOutputCallRequest, testpb.TestService_StreamingOutputCallServer) error {
	return func(n int, req *testpb.StreamingOutputCallRequest, stream testpb.TestService_StreamingOutputCallServer) error {
		if n <= failures {
			return down
		}
		for _, answer := range answers {
			if err := stream.Send(reply(answer + string(req.GetPayload().GetBody()))); err != nil {
				return err
			}
		}
		return nil
	}
}

func TestServerStream(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		failures, retries int
		options           []grpc.CallOption
		want              []string
		calls             int
		code              codes.Code
	}{
		"at once":   {0, 2, nil, []string{"a?", "b?"}, 1, codes.OK},
		"after two": {2, 2, nil, []string{"a?", "b?"}, 3, codes.OK},
		"too many":  {3, 2, nil, nil, 3, codes.Unavailable},
		"no policy": {1, 2, []grpc.CallOption{retrygrpc.CallPolicy(nil)}, nil, 1, codes.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &service{download: list(c.failures, "a", "b")}
			stream, err := under(t, s, fast(c.retries)).StreamingOutputCall(t.Context(), question("?"), c.options...)
			require.NoError(t, err, "the stream can be opened")
			got, err := drain(stream.Recv)
			assert.Equal(t, c.want, got)
			assert.Equal(t, c.calls, s.count())
			if c.code == codes.OK {
				assert.Equal(t, io.EOF, err)
			}
			assert.Equal(t, c.code, status.Code(ignoreEOF(err)))
			_, again := stream.Recv()
			assert.Equal(t, status.Code(ignoreEOF(err)), status.Code(ignoreEOF(again)), "the end stays the end")
		})
	}
}

func ignoreEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

// What was received is never received again.
func TestNoRetryAfterAMessage(t *testing.T) {
	t.Parallel()
	s := &service{download: func(_ int, _ *testpb.StreamingOutputCallRequest, stream testpb.TestService_StreamingOutputCallServer) error {
		if err := stream.Send(reply("a")); err != nil {
			return err
		}
		return down
	}}
	var ends []error
	var trailer metadata.MD
	stream, err := under(t, s, fast(5)).StreamingOutputCall(t.Context(), question("?"),
		grpc.OnFinish(func(err error) { ends = append(ends, err) }), grpc.Trailer(&trailer))
	require.NoError(t, err)
	got, err := drain(stream.Recv)
	assert.Equal(t, []string{"a"}, got)
	assert.Equal(t, codes.Unavailable, status.Code(err))
	assert.Equal(t, "down", status.Convert(err).Message())
	assert.Equal(t, resilience.ClassRetryable, resilience.Classify(err), "whoever can go on from there may")
	assert.Equal(t, 1, s.count())
	require.Len(t, ends, 1)
	assert.Equal(t, codes.Unavailable, status.Code(ends[0]))
}

// Headers that the caller has seen bind the stream; without them a failure is not seen.
func TestHeader(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script func(n int, stream testpb.TestService_StreamingOutputCallServer) error
		header []string
		end    codes.Code
		calls  int
	}{
		"headers, then a failure": {
			func(n int, stream testpb.TestService_StreamingOutputCallServer) error {
				if err := stream.SendHeader(metadata.Pairs("seen", "yes")); err != nil {
					return err
				}
				return down
			}, []string{"yes"}, codes.Unavailable, 1,
		},
		"a failure without headers, then some": {
			func(n int, stream testpb.TestService_StreamingOutputCallServer) error {
				if n < 3 {
					return down
				}
				return stream.SendHeader(metadata.Pairs("seen", "3"))
			}, []string{"3"}, codes.OK, 3,
		},
		"no headers at all": {
			func(n int, stream testpb.TestService_StreamingOutputCallServer) error { return nil }, nil, codes.OK, 1,
		},
		"failures only": {
			func(n int, stream testpb.TestService_StreamingOutputCallServer) error { return down }, nil, codes.Unavailable, 3,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &service{download: func(n int, _ *testpb.StreamingOutputCallRequest, stream testpb.TestService_StreamingOutputCallServer) error {
				return c.script(n, stream)
			}}
			ends := 0
			var header metadata.MD
			stream, err := under(t, s, fast(2)).StreamingOutputCall(t.Context(), question("?"),
				grpc.OnFinish(func(error) { ends++ }), grpc.Header(&header))
			require.NoError(t, err)
			md, err := stream.Header()
			require.NoError(t, err)
			assert.Equal(t, c.header, md.Get("seen"))
			_, err = stream.Recv()
			assert.Equal(t, c.end, status.Code(ignoreEOF(err)))
			require.Error(t, err)
			assert.Equal(t, c.calls, s.count())
			assert.Equal(t, 1, ends)
			assert.Equal(t, c.header, header.Get("seen"))
		})
	}
	// Nobody asks for the headers, so a failure after them may still be repeated.
	s := &service{download: func(n int, _ *testpb.StreamingOutputCallRequest, stream testpb.TestService_StreamingOutputCallServer) error {
		if err := stream.SendHeader(metadata.Pairs("seen", "yes")); err != nil || n == 3 {
			return err
		}
		return down
	}}
	stream, err := under(t, s, fast(2)).StreamingOutputCall(t.Context(), question("?"))
	require.NoError(t, err)
	_, err = stream.Recv()
	assert.Equal(t, io.EOF, err)
	assert.Equal(t, 3, s.count())
}
