package generation_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/openai/openai-go/v3/option"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/generation"
	"github.com/observable-go/toolkit/resilience/secret"
)

const key = "sk-very-secret-key"

// A server speaks the protocol, with faults by a script: its n-th answer is to the n-th
// request, and the last one to all that follow.
type server struct {
	*httptest.Server

	mu     sync.Mutex
	script []http.HandlerFunc
	seen   []seen
	opened int // connections so far
	open   int // connections now
}

type seen struct {
	path   string
	header http.Header
	body   string
}

func newServer(t *testing.T, script ...http.HandlerFunc) *server {
	t.Helper()
	s := &server{script: script}
	s.Server = httptest.NewUnstartedServer(s.handler())
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch state {
		case http.StateNew:
			s.opened++
			s.open++
		case http.StateClosed, http.StateHijacked:
			s.open--
		case http.StateActive, http.StateIdle:
		}
	}
	s.Start()
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

func (s *server) handler() http.Handler { return http.HandlerFunc(s.serve) }

func script(answers ...http.HandlerFunc) []http.HandlerFunc { return answers }

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	n := len(s.seen)
	s.seen = append(s.seen, seen{r.URL.Path, r.Header.Clone(), string(body)})
	answer := s.script[min(n, len(s.script)-1)]
	s.mu.Unlock()
	answer(w, r)
}

func (s *server) requests() []seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]seen(nil), s.seen...)
}

func (s *server) connections() (opened, open int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opened, s.open
}

// config decodes a Config of the server that repeats without delays, with more fields.
func (s *server) config(t *testing.T, fields string) generation.Config {
	t.Helper()
	c := generation.Config{BaseURL: s.URL + "/v1", APIKey: secret.New(key), Model: "gpt2"}
	require.NoError(t, json.Unmarshal([]byte(`{"retry": {"initial_delay": "0s"}}`), &c))
	if fields != "" {
		require.NoError(t, json.Unmarshal([]byte(fields), &c))
	}
	return c
}

func (s *server) client(t *testing.T, fields string, opts ...generation.Option) *generation.Client {
	t.Helper()
	client, err := generation.New(s.config(t, fields), opts...)
	require.NoError(t, err)
	return client
}

// Answers.

func says(text string) http.HandlerFunc {
	return answers(http.StatusOK, fmt.Sprintf(`{"id": "1", "object": "chat.completion", "model": "gpt2", "choices": [
		{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": %q}}],
		"usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}`, text))
}

// answers has the headers as "Name: value".
func answers(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func fails(status int, code string, headers ...string) http.HandlerFunc {
	return answers(status, fmt.Sprintf(`{"error": {"message": "no %s", "type": "t", "param": null, "code": %q}}`, key, code), headers...)
}

// resets ends the connection by a reset, after what begin has written.
func resets(begin http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if begin != nil {
			begin(w, r)
			_ = http.NewResponseController(w).Flush()
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	}
}

// cut ends an answer before its Content-Length.
func cut(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", fmt.Sprint(len(body)+100))
		_, _ = io.WriteString(w, body)
	}
}

// stalls is silent after what begin has written, until the client goes.
func stalls(begin http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if begin != nil {
			begin(w, r)
			_ = http.NewResponseController(w).Flush()
		}
		<-r.Context().Done()
	}
}

// streams writes server-sent events. Those that begin with a colon are comments.
func streams(events ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		for _, e := range events {
			if !strings.HasPrefix(e, ":") {
				e = "data: " + e
			}
			_, _ = io.WriteString(w, e+"\n\n")
			_ = http.NewResponseController(w).Flush()
		}
	}
}

const (
	role = `{"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": null}]}`
	stop = `{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}`
	done = "[DONE]"
)

func token(text string) string {
	return fmt.Sprintf(`{"choices": [{"index": 0, "delta": {"content": %q}, "finish_reason": null}]}`, text)
}

// transport sends requests by a function, without a socket.
func transport(send func(*http.Request) (*http.Response, error)) option.RequestOption {
	return option.WithHTTPClient(&http.Client{Transport: roundTripper(send)})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
