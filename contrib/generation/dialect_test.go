package generation_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/generation"
)

// as gives what an answer writes another type.
func as(contentType string, answer http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { answer(typed{w, contentType}, r) }
}

type typed struct {
	http.ResponseWriter

	contentType string
}

func (t typed) Write(p []byte) (int, error) {
	t.Header()["Content-Type"] = nil // none, and none guessed
	if t.contentType != "" {
		t.Header().Set("Content-Type", t.contentType)
	}
	return t.ResponseWriter.Write(p)
}

func (t typed) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// Some servers and gateways do not call a stream text/event-stream. It is one all the same.
func TestStreamUnderAnotherType(t *testing.T) {
	t.Parallel()
	for _, contentType := range []string{"", "text/plain; charset=utf-8", "application/octet-stream", "application/json", "no type"} {
		t.Run(contentType, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, as(contentType, streams(role)), as(contentType, streams(role, token("Once"), stop, done)))
			stream, err := s.client(t, "").GenerateStream(t.Context(), "prompt")
			require.NoError(t, err)
			texts, err := read(stream)
			require.NoError(t, err)
			assert.Equal(t, []string{"Once"}, texts)
			assert.Len(t, s.requests(), 2)

			s = newServer(t, as(contentType, streams(role, token("Once"))))
			stream, err = s.client(t, "").GenerateStream(t.Context(), "prompt")
			require.NoError(t, err)
			_, err = read(stream)
			require.ErrorIs(t, err, io.ErrUnexpectedEOF, "a cut is no short success")

			s = newServer(t, as(contentType, stalls(streams(role, token("Once")))))
			stream, err = s.client(t, `{"idle_timeout": "1s"}`).GenerateStream(t.Context(), "prompt")
			require.NoError(t, err)
			_, err = read(stream)
			require.ErrorContains(t, err, "nothing came for 1s")

			s = newServer(t, fails(500, ""), as(contentType, streams(token("Once"))))
			client := s.official(newPolicy(t))
			official := client.Chat.Completions.NewStreaming(t.Context(), prompt())
			require.True(t, official.Next())
			require.False(t, official.Next())
			require.ErrorIs(t, official.Err(), io.ErrUnexpectedEOF)
		})
	}
}

// What is no stream, in answer to who asks for one, is judged by what it says.
func TestNoStream(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer    http.HandlerFunc
		want      int
		malformed bool
	}{
		"quota":    {answers(200, `{"error": {"code": "insufficient_quota"}}`), 1, false},
		"overload": {answers(200, `{"error": {"code": "overloaded"}}`), 3, false},
		"page":     {answers(200, `<html>`, "Content-Type: text/html"), 3, true},
		"answer":   {says("Paris"), 3, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, tt.answer)
			_, err := s.client(t, "").GenerateStream(t.Context(), "prompt")
			require.Error(t, err)
			assert.Len(t, s.requests(), tt.want)
			if tt.malformed {
				require.ErrorIs(t, err, generation.ErrMalformed)
			} else {
				require.NotErrorIs(t, err, generation.ErrMalformed)
			}
		})
	}
}

// The first chunk of SGLang and DeepSeek has the fields of the thoughts, and nothing in them.
func TestStreamOfNoThoughtsYet(t *testing.T) {
	t.Parallel()
	for name, delta := range map[string]string{
		"null":  `{"role": "assistant", "content": "", "reasoning_content": null, "tool_calls": null}`,
		"empty": `{"role": "assistant", "content": null, "reasoning_content": "", "reasoning_details": []}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begin := streams(`{"choices": [{"index": 0, "delta": ` + delta + `, "finish_reason": null}]}`)
			s := newServer(t, resets(begin), begin, streams(token("Once"), stop, done))
			stream, err := s.client(t, "").GenerateStream(t.Context(), "prompt")
			require.NoError(t, err)
			texts, err := read(stream)
			require.NoError(t, err)
			assert.Equal(t, []string{"Once"}, texts)
			assert.Len(t, s.requests(), 3)
		})
	}
}

// Older versions of vLLM, and SGLang, send the error itself, without a field around it.
func TestBareErrors(t *testing.T) {
	t.Parallel()
	bare := `{"object": "error", "message": "` + key + `", "type": "BadRequestError", "param": null, "code": 400}`
	for name, answer := range map[string]http.HandlerFunc{
		"a status":       answers(400, bare),
		"a 200":          answers(200, bare),
		"first event":    streams(bare, done),
		"after the role": streams(role, bare, done),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, answer)
			client := s.client(t, "")
			_, err := client.GenerateStream(t.Context(), "prompt")
			require.ErrorContains(t, err, "400 Bad Request (BadRequestError)")
			require.NotContains(t, err.Error(), key)
			assert.Len(t, s.requests(), 1)
			if strings.HasPrefix(name, "a ") { // the others are streams
				_, err = client.Generate(t.Context(), "prompt")
				require.ErrorContains(t, err, "400 Bad Request (BadRequestError)")
				assert.Len(t, s.requests(), 2)
			}
		})
	}

	s := newServer(t, streams(role, token("Once"), bare, done))
	stream, err := s.client(t, "").GenerateStream(t.Context(), "prompt")
	require.NoError(t, err)
	texts, err := read(stream)
	require.ErrorContains(t, err, "400 Bad Request (BadRequestError)", "the text is no whole answer")
	require.NotContains(t, err.Error(), key)
	assert.Equal(t, []string{"Once"}, texts)
}
