package generation_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"syscall"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/generation"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retry"
)

func TestGenerate(t *testing.T) {
	t.Parallel()
	s := newServer(t, says("Paris"))
	result, err := s.client(t, "").Generate(t.Context(), "Where?", option.WithJSONSet("top_k", 5))
	require.NoError(t, err)
	assert.Equal(t, "Paris", result.Text)
	assert.Equal(t, "stop", result.FinishReason)
	assert.Equal(t, int64(5), result.Usage.TotalTokens)
	assert.Equal(t, "gpt2", result.Completion.Model)

	require.Len(t, s.requests(), 1)
	r := s.requests()[0]
	assert.Equal(t, "/v1/chat/completions", r.path)
	assert.Equal(t, "Bearer "+key, r.header.Get("Authorization"))
	assert.JSONEq(t, `{"model": "gpt2", "messages": [{"role": "user", "content": "Where?"}], "top_k": 5}`, r.body)
	assert.Equal(t, "0", r.header.Get("X-Stainless-Retry-Count"))
	assert.Empty(t, r.header.Values("Previous-Attempts"))
	assert.Empty(t, r.header.Values("Idempotency-Key"))
}

func TestChat(t *testing.T) {
	t.Parallel()
	s := newServer(t, says("Paris"))
	_, err := s.client(t, "").Chat(t.Context(), openai.ChatCompletionNewParams{
		Model:       "other",
		Messages:    []openai.ChatCompletionMessageParamUnion{openai.SystemMessage("One word."), openai.UserMessage("Where?")},
		Temperature: openai.Float(0),
	})
	require.NoError(t, err)
	assert.JSONEq(t, `{"model": "other", "temperature": 0, "messages": [
		{"role": "system", "content": "One word."}, {"role": "user", "content": "Where?"}]}`, s.requests()[0].body)
}

// What fails in every attempt, and how often it is tried: 3 times with the 2 retries of the
// preset, and never 9.
func TestFaults(t *testing.T) {
	t.Parallel()
	const again, never = 3, 1
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		want   int
		typ    string // in telemetry
	}{
		"400":                 {fails(400, "x"), never, "400"},
		"400 context length":  {fails(400, "context_length_exceeded"), never, "context_length_exceeded"},
		"401":                 {fails(401, "invalid_api_key"), never, "invalid_api_key"},
		"403":                 {fails(403, ""), never, "403"},
		"404":                 {fails(404, "model_not_found"), never, "model_not_found"},
		"408":                 {fails(408, ""), again, "408"},
		"409":                 {fails(409, ""), again, "409"},
		"422":                 {fails(422, ""), never, "422"},
		"424":                 {fails(424, ""), never, "424"},
		"424 of TGI":          {answers(424, `{"error": "Request failed during generation", "error_type": "generation"}`), again, "generation"},
		"429":                 {fails(429, ""), again, "429"},
		"429 rate limit":      {fails(429, "rate_limit_exceeded"), again, "rate_limit_exceeded"},
		"429 quota":           {fails(429, "insufficient_quota"), never, "insufficient_quota"},
		"429 quota by type":   {answers(429, `{"error": {"message": "", "type": "insufficient_quota", "code": "new_kind"}}`), never, "insufficient_quota"},
		"429 of TGI":          {answers(429, `{"error": "Model is overloaded", "error_type": "overloaded"}`), again, "overloaded"},
		"500":                 {fails(500, "server_error"), again, "server_error"},
		"500 context length":  {fails(500, "context_length_exceeded"), never, "context_length_exceeded"},
		"500 by should-retry": {fails(500, "", "X-Should-Retry: true"), again, "500"},
		"400 by should-retry": {fails(400, "", "X-Should-Retry: true"), never, "400"},
		"500 refused":         {fails(500, "", "X-Should-Retry: false"), never, "500"},
		"501":                 {fails(501, ""), never, "501"},
		"502 of a proxy":      {answers(502, "<html>Bad Gateway</html>", "Content-Type: text/html"), again, "502"},
		"503 empty":           {answers(503, ""), again, "503"},
		"504":                 {fails(504, ""), again, "504"},
		"529":                 {fails(529, ""), again, "529"},
		"unknown code":        {fails(400, "key "+key), never, "400"},
		"reset at once":       {resets(nil), again, "connection_reset"},
		"reset after headers": {resets(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9")
			w.WriteHeader(http.StatusOK)
		}), again, "connection_reset"},
		"cut body": {cut(`{"choices": [`), again, "unexpected_eof"},
		"cut body of an error": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "99")
			w.WriteHeader(http.StatusInternalServerError)
		}, again, "500"},
		"no JSON":           {answers(200, `{"choices": [`), again, "malformed_answer"},
		"a page":            {answers(200, "<html>", "Content-Type: text/html"), again, "malformed_answer"},
		"no choices":        {answers(200, `{"choices": []}`), again, "malformed_answer"},
		"another JSON":      {answers(200, `[1]`), again, "malformed_answer"},
		"null":              {answers(200, `null`), again, "malformed_answer"},
		"an error in a 200": {answers(200, `{"error": {"message": "x", "code": 502}, "choices": []}`), again, "502"},
		"a quota in a 200":  {answers(200, `{"error": {"code": "insufficient_quota"}}`), never, "insufficient_quota"},
		"empty":             {answers(200, ``), again, "malformed_answer"},
		"a stream":          {streams(token("a"), done), again, "malformed_answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, tt.answer)
			result, err := s.client(t, "").Generate(t.Context(), "prompt")
			require.Error(t, err)
			assert.Zero(t, result)
			assert.Len(t, s.requests(), tt.want)
			assert.Equal(t, tt.typ, resilience.ErrorType(err))
			assert.Equal(t, tt.typ == "malformed_answer", errors.Is(err, generation.ErrMalformed))
			_, gaveUp := errors.AsType[*retry.Error](err)
			assert.Equal(t, tt.want == again, gaveUp)
			assert.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), key)
			for i, r := range s.requests() {
				assert.Equal(t, s.requests()[0].body, r.body, "the body of every attempt is the same")
				assert.Equal(t, fmt.Sprint(i), r.header.Get("X-Stainless-Retry-Count"))
				if i > 0 {
					assert.Equal(t, []string{fmt.Sprint(i)}, r.header.Values("Previous-Attempts"))
				}
			}
		})
	}
}

func TestFaultThatPasses(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]http.HandlerFunc{
		"500":       fails(500, ""),
		"reset":     resets(nil),
		"cut":       cut("{"),
		"malformed": answers(200, `{"choices": []}`),
		"a moment":  fails(429, "rate_limit_exceeded", "Retry-After-Ms: 1.5"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, fault, fault, says("Paris"))
			result, err := s.client(t, "").Generate(t.Context(), "prompt")
			require.NoError(t, err)
			assert.Equal(t, "Paris", result.Text)
			assert.Len(t, s.requests(), 3)
		})
	}
}

func TestStallIsRepeatedByAttemptTimeout(t *testing.T) {
	t.Parallel()
	for name, stall := range map[string]http.HandlerFunc{
		"before headers": stalls(nil),
		"in the body":    stalls(answers(200, `{"choices": [`)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, stall, says("Paris"))
			result, err := s.client(t, `{"retry": {"attempt_timeout": "1s"}}`).Generate(t.Context(), "prompt")
			require.NoError(t, err)
			assert.Equal(t, "Paris", result.Text)
		})
	}
}

func TestErrorTree(t *testing.T) {
	t.Parallel()
	s := newServer(t, fails(429, "rate_limit_exceeded"))
	_, err := s.client(t, "").Generate(t.Context(), "prompt")

	failed, ok := errors.AsType[*generation.Error](err)
	require.True(t, ok)
	assert.Equal(t, 429, failed.Status)
	assert.Equal(t, "rate_limit_exceeded", failed.Code)
	assert.True(t, failed.Throttled())
	theirs, ok := errors.AsType[*openai.Error](err)
	require.True(t, ok)
	assert.Equal(t, "no "+key, theirs.Message, "what the server said is there for who asks")
	assert.Equal(t, 429, theirs.StatusCode)
	assert.Contains(t, string(theirs.DumpResponse(true)), "rate_limit_exceeded")
	assert.ErrorIs(t, err, retry.ErrExhausted)
	assert.Contains(t, err.Error(), "generation: the server answers 429 Too Many Requests (rate_limit_exceeded)")
	assert.True(t, resilience.Throttled(err))

	s = newServer(t, fails(429, "insufficient_quota"))
	_, err = s.client(t, "").Generate(t.Context(), "prompt")
	assert.False(t, resilience.Throttled(err), "a lower rate fills no quota")

	s = newServer(t, resets(nil))
	_, err = s.client(t, "").Generate(t.Context(), "prompt")
	assert.ErrorIs(t, err, syscall.ECONNRESET)
}

func TestNoRetries(t *testing.T) {
	t.Parallel()
	for name, fields := range map[string]string{
		"explicit 0": `{"retry": {"max_retries": 0}}`,
		"one":        `{"retry": {"max_retries": 1}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, fails(500, ""))
			_, err := s.client(t, fields).Generate(t.Context(), "prompt")
			require.Error(t, err)
			want := 1
			if name == "one" {
				want = 2
			}
			assert.Len(t, s.requests(), want)
		})
	}
}

// The official client's own retries stay off, whatever the options say.
func TestNeverNine(t *testing.T) {
	t.Parallel()
	s := newServer(t, fails(500, ""))
	client := s.client(t, "", generation.WithRequestOptions(option.WithMaxRetries(2)))
	_, err := client.Generate(t.Context(), "prompt", option.WithMaxRetries(2))
	require.Error(t, err)
	assert.Len(t, s.requests(), 3)
	_, err = client.Embed(t.Context(), "text")
	require.Error(t, err)
	assert.Len(t, s.requests(), 6)
	_, err = client.GenerateStream(t.Context(), "prompt", option.WithMaxRetries(2))
	require.Error(t, err)
	assert.Len(t, s.requests(), 9)
	official := client.OpenAI()
	_, err = official.Models.List(t.Context())
	require.Error(t, err)
	assert.Len(t, s.requests(), 12)
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	s := newServer(t, fails(500, ""))
	client := s.client(t, `{"idempotency_keys": true}`)
	for range 2 {
		_, err := client.Generate(t.Context(), "prompt")
		require.Error(t, err)
	}
	all := s.requests()
	require.Len(t, all, 6)
	first, second := all[0].header.Get("Idempotency-Key"), all[3].header.Get("Idempotency-Key")
	assert.Len(t, first, 26)
	assert.NotEqual(t, first, second)
	for i, r := range all {
		assert.Equal(t, []string{first, second}[i/3], r.header.Get("Idempotency-Key"))
	}
	_, err := client.Generate(t.Context(), "prompt", option.WithHeader("Idempotency-Key", "mine"))
	require.Error(t, err)
	assert.Equal(t, "mine", s.requests()[8].header.Get("Idempotency-Key"))
}

// Bodies with maps, whose order Go draws by chance, and with what is encoded to something else
// each time, are the same in every attempt too.
func TestBodyIsTheSameInEveryAttempt(t *testing.T) {
	t.Parallel()
	s := newServer(t, fails(500, ""))
	params := openai.ChatCompletionNewParams{Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("hi")}}
	extra := map[string]any{"changing": new(changing)}
	for i := range 50 {
		extra[fmt.Sprintf("x%02d", i)] = i
	}
	params.SetExtraFields(extra)
	_, err := s.client(t, `{"retry": {"max_retries": 9}}`).Chat(t.Context(), params, option.WithJSONSet("more", map[string]int{"a": 1, "b": 2, "c": 3}))
	require.Error(t, err)
	require.Len(t, s.requests(), 10)
	for _, r := range s.requests() {
		require.True(t, json.Valid([]byte(r.body)))
		assert.Equal(t, s.requests()[0].body, r.body)
	}
}

type changing struct{ n int }

func (c *changing) MarshalJSON() ([]byte, error) {
	c.n++
	return json.Marshal(c.n)
}

func TestCanceled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	_, err := s.client(t, "").Generate(ctx, "prompt")
	assert.ErrorIs(t, err, context.Canceled)
	assert.ErrorIs(t, err, retry.ErrCanceled)
	assert.Len(t, s.requests(), 1)
}

func TestHTTPClientOfTheUser(t *testing.T) {
	t.Parallel()
	s := newServer(t, says("Paris"))
	calls := 0
	client := s.client(t, "", generation.WithRequestOptions(transport(func(r *http.Request) (*http.Response, error) {
		if calls++; calls == 1 {
			return nil, errors.New("http2: client connection lost")
		}
		return http.DefaultTransport.RoundTrip(r)
	})))
	result, err := client.Generate(t.Context(), "prompt")
	require.NoError(t, err)
	assert.Equal(t, "Paris", result.Text)
	assert.Equal(t, 2, calls)
}
