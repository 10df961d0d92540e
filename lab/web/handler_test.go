package web_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/lab/scenario"
	"github.com/observable-go/toolkit/lab/web"
)

// long is a scenario that takes minutes.
var long = strings.NewReplacer("duration: 60s", "duration: 3h", "seeds: 3", "seeds: 20").Replace(outage)

func handler(t *testing.T) *web.Handler {
	t.Helper()
	h := web.New(gallery())
	t.Cleanup(h.Close)
	return h
}

// ask sends a request with headers, given as name and value.
func ask(h http.Handler, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(context.Background(), method, "http://127.0.0.1:8080"+path, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func decode(t *testing.T, from io.Reader) (value map[string]any) {
	t.Helper()
	require.NoError(t, json.NewDecoder(from).Decode(&value))
	return value
}

func begin(t *testing.T, h http.Handler, text string) string {
	t.Helper()
	w := ask(h, http.MethodPost, "/runs", text)
	require.Equal(t, http.StatusAccepted, w.Code, w.Body)
	id, _ := decode(t, w.Body)["id"].(string)
	require.NotEmpty(t, id)
	return id
}

func TestFiles(t *testing.T) {
	t.Parallel()
	h := handler(t)
	for path, mimeType := range map[string]string{
		"/": "text/html; charset=utf-8", "/page.js": "text/javascript; charset=utf-8", "/page.css": "text/css; charset=utf-8",
		"/gallery.json": "application/json",
	} {
		w := ask(h, http.MethodGet, path, "")
		assert.Equal(t, http.StatusOK, w.Code, path)
		assert.Equal(t, mimeType, w.Header().Get("Content-Type"), path)
		assert.Contains(t, w.Header().Get("Content-Security-Policy"), "script-src 'self';", path)
		assert.NotEmpty(t, w.Body.String())
	}
	w := ask(h, http.MethodGet, "/page.js", "")
	assert.Equal(t, http.StatusNotModified, ask(h, http.MethodGet, "/page.js", "", "If-None-Match", w.Header().Get("ETag")).Code)
	assert.Equal(t, http.StatusNotFound, ask(h, http.MethodGet, "/no-such.js", "").Code)
	assert.Equal(t, http.StatusMethodNotAllowed, ask(h, http.MethodPut, "/runs", "").Code)
	assert.NotContains(t, ask(h, http.MethodGet, "/", "").Body.String(), "<script>", "the policy lets none run")
	var listed web.Gallery
	require.NoError(t, json.Unmarshal(ask(h, http.MethodGet, "/gallery.json", "").Body.Bytes(), &listed))
	assert.Equal(t, gallery(), listed)
	empty := web.New(nil)
	t.Cleanup(empty.Close)
	assert.Equal(t, "[]", ask(empty, http.MethodGet, "/gallery.json", "").Body.String())
}

func TestOnlyTheOwnPage(t *testing.T) {
	t.Parallel()
	h := handler(t)
	for host, allowed := range map[string]bool{
		"localhost": true, "localhost:1": true, "LOCALHOST:1": true, "127.0.0.1:1": true, "127.9.9.9": true, "[::1]:1": true, "[::1]": true,
		"example.com": false, "localhost.example.com:1": false, "192.168.0.1": false, "0.0.0.0": false, "127.0.0.1.example.com": false, "": false,
	} {
		want := map[bool]int{true: http.StatusOK, false: http.StatusForbidden}[allowed]
		assert.Equal(t, want, ask(h, http.MethodGet, "/gallery.json", "", "Host", host).Code, "%q", host)
	}
	for _, foreign := range [][]string{
		{"Origin", "http://example.com"}, {"Origin", "http://127.0.0.1:9999"}, {"Origin", "null"},
		{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"},
	} {
		for method, path := range map[string]string{http.MethodPost: "/runs", http.MethodDelete: "/runs/x"} {
			w := ask(h, method, path, outage, foreign...)
			assert.Equal(t, http.StatusForbidden, w.Code, "%s %v", method, foreign)
			assert.Contains(t, w.Body.String(), "is not allowed")
		}
	}
	for _, own := range [][]string{{"Origin", "http://127.0.0.1:8080"}, {"Sec-Fetch-Site", "same-origin"}, nil} {
		assert.Equal(t, http.StatusNotFound, ask(h, http.MethodDelete, "/runs/x", "", own...).Code, own)
	}
}

func TestBadScenarios(t *testing.T) {
	t.Parallel()
	h := handler(t)
	for text, want := range map[string]string{
		"": "it is empty", "name: [": "yaml", "no_such: 1": "no_such",
		strings.Replace(outage, "rate: 280", "rate: -1", 1): "callers.open.rate: -1 is not allowed",
	} {
		w := ask(h, http.MethodPost, "/runs", text)
		assert.Equal(t, http.StatusBadRequest, w.Code)
		assert.Contains(t, decode(t, w.Body)["error"], want)
	}
	filled := outage + "#" + strings.Repeat("x", scenario.MaxFile-len(outage)-1)
	assert.Equal(t, http.StatusAccepted, ask(h, http.MethodPost, "/runs", filled).Code)
	w := ask(h, http.MethodPost, "/runs", filled+"x")
	assert.Equal(t, http.StatusRequestEntityTooLarge, w.Code)
	assert.Contains(t, decode(t, w.Body)["error"], "want 1048576 bytes at most")
}

func TestEdit(t *testing.T) {
	t.Parallel()
	h := handler(t)
	text, err := json.Marshal(map[string]any{"text": outage, "edits": []any{map[string]any{"path": []string{"seeds"}, "value": 7}}})
	require.NoError(t, err)
	w := ask(h, http.MethodPost, "/edit", string(text))
	require.Equal(t, http.StatusOK, w.Code)
	got := decode(t, w.Body)
	assert.Contains(t, got["text"], "seeds: 7")
	assert.NotContains(t, got, "error")
	for _, bad := range []string{"", "{", `{"text":"a: 1","edits":[{"path":[]}]}`} {
		w := ask(h, http.MethodPost, "/edit", bad)
		assert.Equal(t, http.StatusBadRequest, w.Code, bad)
		assert.Contains(t, decode(t, w.Body)["error"], "edit: ")
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	h := handler(t)
	id := begin(t, h, herd)
	var got map[string]any
	require.Eventually(t, func() bool {
		w := ask(h, http.MethodGet, "/runs/"+id, "")
		got = decode(t, w.Body)
		return w.Code != http.StatusOK || got["report"] != nil || got["error"] != nil
	}, time.Minute, 10*time.Millisecond)
	s, err := scenario.Parse([]byte(herd))
	require.NoError(t, err)
	want, err := s.Compare(t.Context(), nil)
	require.NoError(t, err)
	text, err := json.Marshal(want)
	require.NoError(t, err)
	is, err := json.Marshal(got["report"])
	require.NoError(t, err)
	assert.JSONEq(t, string(text), string(is))
	assert.Equal(t, 1.0, got["done"])
}

func TestCancel(t *testing.T) {
	t.Parallel()
	h := handler(t)
	id := begin(t, h, long)
	assert.Equal(t, http.StatusOK, ask(h, http.MethodGet, "/runs/"+id, "").Code)
	assert.Equal(t, http.StatusNoContent, ask(h, http.MethodDelete, "/runs/"+id, "").Code)
	assert.Equal(t, http.StatusNotFound, ask(h, http.MethodGet, "/runs/"+id, "").Code)
	assert.Equal(t, http.StatusNotFound, ask(h, http.MethodDelete, "/runs/"+id, "").Code)
}

func TestTooManyRunsAndClose(t *testing.T) {
	t.Parallel()
	h := handler(t)
	begun := 0
	var refused *httptest.ResponseRecorder
	for refused == nil && begun < 100 {
		w := ask(h, http.MethodPost, "/runs", long)
		if w.Code != http.StatusAccepted {
			refused = w
		} else {
			begun++
		}
	}
	require.NotNil(t, refused)
	assert.Equal(t, 16, begun)
	assert.Equal(t, http.StatusTooManyRequests, refused.Code)
	h.Close() // which would last for hours if it waited for what they do
	assert.Equal(t, http.StatusServiceUnavailable, ask(h, http.MethodPost, "/runs", outage).Code)
}
