package generation_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/packages/ssestream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/generation"
	"github.com/observable-go/toolkit/resilience"
)

// read reads a stream to its end.
func read(s *generation.Stream) (texts []string, err error) {
	for text, failed := range s.All() {
		if failed != nil {
			err = failed
			continue
		}
		texts = append(texts, text)
	}
	return texts, err
}

const usage = `{"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}`

func TestStream(t *testing.T) {
	t.Parallel()
	s := newServer(t, streams(": hello", role, token("Once"), ": alive", token(" upon"), stop, usage, done))
	stream, err := s.client(t, "").ChatStream(t.Context(), openai.ChatCompletionNewParams{
		Messages:      []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Tell")},
		StreamOptions: openai.ChatCompletionStreamOptionsParam{IncludeUsage: openai.Bool(true)},
	})
	require.NoError(t, err)
	texts, err := read(stream)
	require.NoError(t, err)
	assert.Equal(t, []string{"Once", " upon"}, texts)
	result := stream.Result()
	assert.Equal(t, "Once upon", result.Text)
	assert.Equal(t, "stop", result.FinishReason)
	assert.Equal(t, int64(5), result.Usage.TotalTokens)
	assert.NoError(t, stream.Err())
	assert.JSONEq(t, `{"model": "gpt2", "messages": [{"role": "user", "content": "Tell"}], "stream": true,
		"stream_options": {"include_usage": true}}`, s.requests()[0].body)

	texts, err = read(stream)
	require.NoError(t, err)
	assert.Empty(t, texts, "a stream is read once")
}

func TestStreamChunks(t *testing.T) {
	t.Parallel()
	call := `{"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "f", "arguments": "{}"}}]}}]}`
	s := newServer(t, streams(role, call, `{"choices": [{"index": 1, "delta": {"content": "other"}}]}`, stop, done))
	stream, err := s.client(t, "").GenerateStream(t.Context(), "prompt")
	require.NoError(t, err)
	var chunks []openai.ChatCompletionChunk
	for chunk, err := range stream.Chunks() {
		require.NoError(t, err)
		chunks = append(chunks, chunk)
	}
	require.Len(t, chunks, 4)
	assert.Equal(t, "f", chunks[1].Choices[0].Delta.ToolCalls[0].Function.Name)
	assert.Empty(t, stream.Result().Text, "the text is that of the first choice")
}

// Streams that fail before their first token are repeated: the caller sees nothing of it.
func TestStreamIsRepeatedBeforeTheFirstToken(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]http.HandlerFunc{
		"500":                   fails(500, ""),
		"429":                   fails(429, "rate_limit_exceeded", "Retry-After-Ms: 0"),
		"reset":                 resets(nil),
		"reset after headers":   resets(streams()),
		"reset after a comment": resets(streams(": wait")),
		"reset after the role":  resets(streams(role)),
		"end after headers":     streams(),
		"end after the role":    streams(role),
		"done at once":          streams(done),
		"done after the role":   streams(role, done),
		"error event":           streams(`{"error": {"message": "x", "type": "server_error", "code": null}}`),
		"error after the role":  streams(role, `{"error": {"message": "x", "type": "server_error"}}`),
		"long error event":      streams(`{"error": {"message": "` + strings.Repeat("x", 10_000) + `", "code": 503}}`),
		"garbage":               streams("{garbage", done),
		"garbage after role":    streams(role, "{garbage", done),
		"silence":               stalls(nil),
		"silence after headers": stalls(streams()),
		"silence after comment": stalls(streams(": wait")),
		"silence after role":    stalls(streams(role)),
		"JSON":                  answers(200, `{"choices": []}`),
		"a page":                answers(200, `<html>`, "Content-Type: text/html"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, fault, fault, streams(role, token("Once"), stop, done))
			stream, err := s.client(t, `{"retry": {"attempt_timeout": "`+patience(name)+`"}}`).GenerateStream(t.Context(), "prompt")
			require.NoError(t, err)
			texts, err := read(stream)
			require.NoError(t, err)
			assert.Equal(t, []string{"Once"}, texts)
			require.Len(t, s.requests(), 3)
			for _, r := range s.requests() {
				assert.Equal(t, s.requests()[0].body, r.body)
			}
		})
	}
}

// patience is how long a test waits for a server that says nothing, and how long for one that
// answers at once, on a machine that may be busy.
func patience(name string) string {
	if strings.HasPrefix(name, "silence") {
		return "1s"
	}
	return "30s"
}

func TestStreamIsNotRepeatedForNothing(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer   http.HandlerFunc
		attempts int
		typ      string
	}{
		"400":                   {fails(400, "context_length_exceeded"), 1, "context_length_exceeded"},
		"event of bad request":  {streams(`{"error": {"message": "` + key + `", "type": "BadRequestError", "code": 400}}`), 1, "BadRequestError"},
		"event of a long input": {streams(role, `{"error": {"message": "", "code": "context_length_exceeded"}}`), 1, "context_length_exceeded"},
		"event of quota":        {streams(`{"error": {"code": "insufficient_quota"}}`), 1, "insufficient_quota"},
		"event of TGI":          {streams(`{"error": "Request failed during generation", "error_type": "generation"}`), 3, "generation"},
		"event unknown":         {streams(`{"error": {"message": "` + key + `", "code": "` + key + `"}}`), 3, "500"},
		"never a token":         {streams(role, done), 3, "malformed_answer"},
		"silence for long":      {stalls(nil), 3, "timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, tt.answer)
			stream, err := s.client(t, `{"retry": {"attempt_timeout": "`+patience(name)+`"}}`).GenerateStream(t.Context(), "prompt")
			require.Error(t, err)
			assert.Nil(t, stream)
			assert.Len(t, s.requests(), tt.attempts)
			if tt.typ != "timeout" {
				assert.Equal(t, tt.typ, resilience.ErrorType(err))
			}
			assert.NotContains(t, fmt.Sprintf("%v %+v", err, err), key)
		})
	}
}

// A stream that fails after its first token is an error with the text so far, and is not
// repeated.
func TestStreamFailsAfterTheFirstToken(t *testing.T) {
	t.Parallel()
	first := []string{role, token("Once"), token(" upon")}
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		want   error
		typ    string
	}{
		"end without the mark":   {streams(first...), io.ErrUnexpectedEOF, "unexpected_eof"},
		"end after the reason":   {streams(append(first, stop)...), io.ErrUnexpectedEOF, "unexpected_eof"},
		"the mark as a text":     {streams(append(first, token("data: [DONE]"))...), io.ErrUnexpectedEOF, "unexpected_eof"},
		"the connection is cut":  {panics(streams(first...)), io.ErrUnexpectedEOF, "unexpected_eof"},
		"the connection resets":  {resets(streams(first...)), syscall.ECONNRESET, "connection_reset"},
		"half an event":          {raw(first, "data: {\"choices\": [{\"ind"), io.ErrUnexpectedEOF, "unexpected_eof"},
		"an event not ended":     {raw(first, "data: "+token(" a")), io.ErrUnexpectedEOF, "unexpected_eof"},
		"silence":                {stalls(streams(first...)), context.DeadlineExceeded, "timeout"},
		"an error event":         {streams(append(first, `{"error": {"message": "`+key+`", "type": "server_error"}}`)...), nil, "server_error"},
		"an error event of vLLM": {streams(append(first, `{"error": {"message": "x", "type": "InternalServerError", "code": 500}}`, done)...), nil, "InternalServerError"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, tt.answer)
			stream, err := s.client(t, `{"idle_timeout": "`+patience(name)+`"}`).GenerateStream(t.Context(), "prompt")
			require.NoError(t, err)
			texts, err := read(stream)
			require.Error(t, err)
			assert.Equal(t, "Once upon", strings.TrimSuffix(strings.Join(texts, ""), "data: [DONE]"))
			assert.Equal(t, strings.Join(texts, ""), stream.Result().Text)
			assert.Equal(t, err, stream.Err())
			assert.Len(t, s.requests(), 1)
			assert.Contains(t, err.Error(), "generation: the stream broke off after ")
			assert.NotContains(t, fmt.Sprintf("%v %+v", err, err), key)
			assert.Equal(t, tt.typ, resilience.ErrorType(err))
			assert.Equal(t, resilience.ClassRetryable, resilience.Classify(err))
			if tt.want != nil {
				assert.ErrorIs(t, err, tt.want)
			} else {
				failed, ok := errors.AsType[*generation.Error](err)
				require.True(t, ok)
				assert.Equal(t, 500, failed.Status)
				_, ok = errors.AsType[*ssestream.StreamError](err)
				assert.True(t, ok)
			}
		})
	}
}

// raw streams events and then something else.
func raw(events []string, rest string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		streams(events...)(w, r)
		_, _ = io.WriteString(w, rest)
	}
}

// panics ends an answer as a server does whose handler panics: without the last chunk.
func panics(begin http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		begin(w, r)
		panic(http.ErrAbortHandler)
	}
}

// A stream outlives the timeout of the attempt that began it.
func TestStreamOutlivesItsAttempt(t *testing.T) {
	t.Parallel()
	goOn := make(chan struct{})
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		streams(token("Once"))(w, r)
		<-goOn
		streams(token(" upon"), stop, done)(w, r)
	})
	stream, err := s.client(t, `{"retry": {"attempt_timeout": "2s"}}`).GenerateStream(t.Context(), "prompt")
	require.NoError(t, err)
	expired, cancel := context.WithTimeout(t.Context(), 2100*time.Millisecond)
	defer cancel()
	<-expired.Done()
	close(goOn)
	texts, err := read(stream)
	require.NoError(t, err)
	assert.Equal(t, []string{"Once", " upon"}, texts)
}

func TestStreamEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		streams(token("Once"))(w, r)
		<-r.Context().Done()
		close(gone)
	})
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := s.client(t, "").GenerateStream(ctx, "prompt")
	require.NoError(t, err)
	cancel()
	texts, err := read(stream)
	assert.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, []string{"Once"}, texts)
	<-gone
}

// A caller that leaves a stream ends the request.
func TestStreamIsAbandoned(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(*generation.Stream){
		"by break": func(s *generation.Stream) {
			for _, err := range s.All() {
				_ = err
				break
			}
		},
		"by Close": func(s *generation.Stream) {
			_ = s.Close()
			_ = s.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gone := make(chan struct{})
			s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
				streams(token("Once"), token(" upon"))(w, r)
				<-r.Context().Done()
				close(gone)
			})
			stream, err := s.client(t, "").GenerateStream(t.Context(), "prompt")
			require.NoError(t, err)
			leave(stream)
			<-gone
			texts, err := read(stream)
			assert.NoError(t, err)
			assert.Empty(t, texts)
		})
	}
}

// A connection whose stream was read to its end is used again.
func TestStreamConnectionIsReused(t *testing.T) {
	t.Parallel()
	s := newServer(t, streams(role, token("Once"), stop, done))
	client := s.client(t, "")
	for range 20 {
		stream, err := client.GenerateStream(t.Context(), "prompt")
		require.NoError(t, err)
		_, err = read(stream)
		require.NoError(t, err)
	}
	opened, _ := s.connections()
	assert.Equal(t, 1, opened)
}

// Servers that send nothing but empty chunks do not keep the caller from seeing them.
func TestStreamOfEmptyChunks(t *testing.T) {
	t.Parallel()
	s := newServer(t, streams(append(slices.Repeat([]string{role}, 40), done)...))
	stream, err := s.client(t, "").GenerateStream(t.Context(), "prompt")
	require.NoError(t, err)
	n := 0
	for _, err := range stream.Chunks() {
		require.NoError(t, err)
		n++
	}
	assert.Equal(t, 40, n)
}

// What a model thinks, in fields of some servers, counts as the beginning.
func TestStreamOfThoughts(t *testing.T) {
	t.Parallel()
	s := newServer(t, panics(streams(role, `{"choices": [{"index": 0, "delta": {"reasoning_content": "Hm"}}]}`)))
	stream, err := s.client(t, "").GenerateStream(t.Context(), "prompt")
	require.NoError(t, err)
	_, err = read(stream)
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
	assert.Len(t, s.requests(), 1)
}

func TestStreamOfPolicyThatFailsAfterwards(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		streams(token("Once"))(w, r)
		<-r.Context().Done()
		close(gone)
	})
	errLate := errors.New("too late")
	client := s.client(t, "", generation.WithPolicy(resilience.PolicyFunc(func(ctx context.Context, op resilience.Operation) error {
		return errors.Join(op(ctx), errLate)
	})))
	stream, err := client.GenerateStream(t.Context(), "prompt")
	assert.Nil(t, stream)
	assert.ErrorIs(t, err, errLate)
	<-gone
}
