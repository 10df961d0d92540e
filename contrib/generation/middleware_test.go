package generation_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/generation"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/retry"
)

// newPolicy returns a policy that repeats twice without delays.
func newPolicy(t *testing.T, opts ...retry.Option) *retry.Policy {
	t.Helper()
	p, err := retry.New("openai", append([]retry.Option{retry.WithMaxRetries(2), retry.WithBackoff(backoff.Constant{})}, opts...)...)
	require.NoError(t, err)
	return p
}

func (s *server) official(p resilience.Policy) openai.Client {
	opts := append(generation.Options(p), option.WithBaseURL(s.URL+"/v1"), option.WithAPIKey(key))
	return openai.NewClient(opts...)
}

func prompt() openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{
		Model: "gpt2", Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("hi")},
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		want   int
	}{
		"500":         {fails(500, ""), 3},
		"429":         {fails(429, "rate_limit_exceeded"), 3},
		"quota":       {fails(429, "insufficient_quota"), 1},
		"400":         {fails(400, ""), 1},
		"reset":       {resets(nil), 3},
		"cut":         {cut("{"), 3},
		"no JSON":     {answers(200, "{"), 3},
		"not refused": {answers(500, "", "X-Should-Retry: true"), 3},
		"refused":     {answers(500, "", "X-Should-Retry: false"), 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, tt.answer)
			client := s.official(newPolicy(t))
			_, err := client.Chat.Completions.New(t.Context(), prompt())
			require.Error(t, err)
			require.Len(t, s.requests(), tt.want)
			for i, r := range s.requests() {
				assert.Equal(t, s.requests()[0].body, r.body)
				assert.Equal(t, []string{"0", "1", "2"}[i], r.header.Get("X-Stainless-Retry-Count"))
			}
			_, ok := errors.AsType[*openai.Error](err)
			assert.Equal(t, !strings.Contains("reset cut no JSON", name), ok)

			s = newServer(t, tt.answer, says("Paris"))
			client = s.official(newPolicy(t))
			completion, err := client.Chat.Completions.New(t.Context(), prompt())
			if tt.want > 1 {
				require.NoError(t, err)
				assert.Equal(t, "Paris", completion.Choices[0].Message.Content)
			} else {
				require.Error(t, err)
			}
		})
	}
}

func TestOptionsWithoutPolicy(t *testing.T) {
	t.Parallel()
	s := newServer(t, fails(500, ""))
	client := s.official(nil)
	_, err := client.Chat.Completions.New(t.Context(), prompt())
	failed, ok := errors.AsType[*generation.Error](err)
	require.True(t, ok)
	assert.Equal(t, 500, failed.Status)
	assert.Len(t, s.requests(), 1)
}

// The streams of the official client begin within the attempt, and tell a cut.
func TestOptionsStream(t *testing.T) {
	t.Parallel()
	s := newServer(t, streams(), streams(`{"error": {"code": "server_error"}}`), streams(token("Once"), stop, done))
	client := s.official(newPolicy(t))
	stream := client.Chat.Completions.NewStreaming(t.Context(), prompt())
	require.True(t, stream.Next())
	assert.Equal(t, "Once", stream.Current().Choices[0].Delta.Content)
	require.True(t, stream.Next())
	require.False(t, stream.Next())
	require.NoError(t, stream.Err())
	assert.Len(t, s.requests(), 3)

	s = newServer(t, streams(token("Once")))
	client = s.official(newPolicy(t))
	stream = client.Chat.Completions.NewStreaming(t.Context(), prompt())
	require.True(t, stream.Next())
	require.False(t, stream.Next())
	assert.ErrorIs(t, stream.Err(), io.ErrUnexpectedEOF)
	assert.Len(t, s.requests(), 1)
}

// Other parts of the API have other ends of their streams.
func TestOptionsForResponses(t *testing.T) {
	t.Parallel()
	s := newServer(t, fails(503, ""), streams(`{"type": "response.output_text.delta", "delta": "Once"}`, `{"type": "response.completed"}`))
	client := s.official(newPolicy(t))
	stream := client.Responses.NewStreaming(t.Context(), responses.ResponseNewParams{Model: "gpt2"})
	n := 0
	for stream.Next() {
		n++
	}
	require.NoError(t, stream.Err())
	assert.Equal(t, 2, n)
	assert.Len(t, s.requests(), 2)
}

// An answer that has no content, by its status, is not one that is broken.
func TestOptionsOfNoContent(t *testing.T) {
	t.Parallel()
	s := newServer(t, answers(204, ""))
	client := s.official(newPolicy(t))
	require.NoError(t, client.Delete(t.Context(), "batches/1", nil, nil))
	assert.Len(t, s.requests(), 1)
}

// The streams of the official client may be closed by another goroutine than that which reads.
func TestOptionsStreamClosedWhileItIsRead(t *testing.T) {
	t.Parallel()
	s := newServer(t, streams(role, token("Once"), stop, done))
	client := s.official(nil)
	for range 200 {
		stream := client.Chat.Completions.NewStreaming(t.Context(), prompt())
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			_ = stream.Close()
		}()
		for stream.Next() {
			_ = stream.Current()
		}
		<-closed
	}
}

func TestOptionsUploads(t *testing.T) {
	t.Parallel()
	s := newServer(t, fails(500, ""), fails(500, ""), answers(200, `{"id": "file-1"}`))
	client := s.official(newPolicy(t))
	file, err := client.Files.New(t.Context(), openai.FileNewParams{
		File: openai.File(strings.NewReader("lines"), "f.jsonl", "application/jsonl"), Purpose: "batch",
	})
	require.NoError(t, err)
	assert.Equal(t, "file-1", file.ID)
	require.Len(t, s.requests(), 3)
	assert.Contains(t, s.requests()[0].body, "lines")
	assert.Equal(t, s.requests()[0].body, s.requests()[2].body)

	for name, tt := range map[string]struct {
		body io.Reader
		want int
	}{
		"seeks":          {bytes.NewReader([]byte(`{"a": 1}`)), 3},
		"cannot be read": {io.MultiReader(strings.NewReader(`{"a": 1}`)), 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, fails(500, ""))
			client := s.official(newPolicy(t))
			require.Error(t, client.Post(t.Context(), "things", tt.body, nil))
			require.Len(t, s.requests(), tt.want)
			for _, r := range s.requests() {
				assert.Equal(t, `{"a": 1}`, r.body)
			}
		})
	}
}

// A body that is no stream of events and no JSON goes through as it comes.
func TestOptionsDownloads(t *testing.T) {
	t.Parallel()
	s := newServer(t, fails(500, ""), answers(200, "{not JSON", "Content-Type: application/octet-stream"))
	client := s.official(newPolicy(t, retry.WithAttemptTimeout(1e9)))
	res, err := client.Files.Content(t.Context(), "file-1")
	require.NoError(t, err)
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	assert.Equal(t, "{not JSON", string(body))

	s = newServer(t, answers(200, "{not JSON"))
	client = s.official(newPolicy(t))
	res, err = client.Files.Content(t.Context(), "file-1")
	require.NoError(t, err, "the content of a file may be anything")
	require.NoError(t, res.Body.Close())
}

func TestOptionsMiddlewares(t *testing.T) {
	t.Parallel()
	count := func(n *int) option.RequestOption {
		return option.WithMiddleware(func(r *http.Request, next option.MiddlewareNext) (*http.Response, error) {
			*n++
			return next(r)
		})
	}
	s := newServer(t, fails(500, ""))
	var calls, attempts int
	opts := append([]option.RequestOption{count(&calls)}, generation.Options(newPolicy(t))...)
	client := openai.NewClient(append(opts, option.WithBaseURL(s.URL+"/v1"), option.WithAPIKey(key), count(&attempts))...)
	_, err := client.Chat.Completions.New(t.Context(), prompt())
	require.Error(t, err)
	assert.Equal(t, 1, calls)
	assert.Equal(t, 3, attempts)
}

func TestOptionsOfPolicyThatFailsAfterwards(t *testing.T) {
	t.Parallel()
	errLate := errors.New("too late")
	s := newServer(t, answers(200, "x", "Content-Type: text/plain"))
	client := s.official(resilience.PolicyFunc(func(ctx context.Context, op resilience.Operation) error {
		return errors.Join(op(ctx), errLate)
	}))
	_, err := client.Chat.Completions.New(t.Context(), prompt())
	assert.ErrorIs(t, err, errLate)
}

// A client of the official kind that has the settings of a Client.
func TestOpenAI(t *testing.T) {
	t.Parallel()
	s := newServer(t, fails(500, ""), answers(200, `{"data": [{"id": "gpt2"}], "object": "list"}`))
	official := s.client(t, "").OpenAI()
	page, err := official.Models.List(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "gpt2", page.Data[0].ID)
	require.Len(t, s.requests(), 2)
	assert.Equal(t, "Bearer "+key, s.requests()[1].header.Get("Authorization"))
}
