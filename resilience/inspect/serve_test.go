package inspect_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience/inspect"
)

// A page is what a browser got, after redirections.
type page struct {
	code           int
	path, mimeType string
	body           []byte
}

func fetch(t *testing.T, server *httptest.Server, path string) page {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, http.NoBody)
	require.NoError(t, err)
	answer, err := server.Client().Do(request)
	require.NoError(t, err)
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	return page{answer.StatusCode, answer.Request.URL.Path, answer.Header.Get("Content-Type"), body}
}

// The page works wherever it is mounted.
func TestMounts(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	subtree := http.NewServeMux()
	subtree.Handle("/debug/resilience/", f.page)
	stripped := http.NewServeMux()
	stripped.Handle("/x/", http.StripPrefix("/x", f.page))
	bare := http.NewServeMux()
	bare.Handle("GET /here", f.page)
	bare.Handle("GET /here/{rest...}", f.page)
	for _, mount := range []struct {
		name    string
		handler http.Handler
		root    string
	}{
		{"a subtree", subtree, "/debug/resilience/"},
		{"a prefix that is stripped", stripped, "/x/"},
		{"a path and what is below", bare, "/here/"},
		{"a server of its own", f.page, "/"},
	} {
		server := httptest.NewServer(mount.handler)
		t.Cleanup(server.Close)
		for path, mimeType := range map[string]string{
			"":           "text/html; charset=utf-8",
			"page.js":    "text/javascript; charset=utf-8",
			"page.css":   "text/css; charset=utf-8",
			"state.json": "application/json",
			"state.txt":  "text/plain; charset=utf-8",
		} {
			answer := fetch(t, server, mount.root+path)
			assert.Equal(t, http.StatusOK, answer.code, "%s: %s", mount.name, path)
			assert.Equal(t, mimeType, answer.mimeType, "%s: %s", mount.name, path)
			assert.NotEmpty(t, answer.body)
		}
		if root := strings.TrimSuffix(mount.root, "/"); root != "" {
			answer := fetch(t, server, root)
			assert.Equal(t, http.StatusOK, answer.code, mount.name)
			assert.Equal(t, mount.root, answer.path, "%s: relative links need the slash", mount.name)
		}
		answer := fetch(t, server, mount.root+"no-such.file")
		assert.Equal(t, http.StatusNotFound, answer.code, mount.name)
		if mount.name == "a subtree" {
			assert.Equal(t, http.StatusNotFound, fetch(t, server, mount.root+"no-such-path").code)
		}
	}
}

// The redirection to the slash leads nowhere else, whatever the path is.
func TestRedirectionStays(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for path, want := range map[string]string{
		"/debug/resilience":      "./resilience/",
		"//evil":                 "./evil/",
		"/javascript:alert":      "./javascript:alert/",
		"/a%0d%0aSet-Cookie:x=y": "./a%0D%0ASet-Cookie:x=y/",
	} {
		w := get(t, f.page, path)
		assert.Equal(t, http.StatusMovedPermanently, w.Code, path)
		assert.Equal(t, want, w.Header().Get("Location"))
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, path := range []string{"/", "/page.js", "/state.json", "/state.txt", "/no-such.file"} {
		header := get(t, f.page, path).Header()
		assert.Contains(t, header.Get("Content-Security-Policy"), "default-src 'none'", path)
		assert.NotContains(t, header.Get("Content-Security-Policy"), "unsafe", path)
		assert.Equal(t, "nosniff", header.Get("X-Content-Type-Options"), path)
		assert.Contains(t, header.Get("Content-Security-Policy"), "frame-ancestors 'none'", path)
		assert.Equal(t, "same-origin", header.Get("Cross-Origin-Resource-Policy"), path)
		assert.Equal(t, "no-referrer", header.Get("Referrer-Policy"), path)
		assert.Empty(t, header.Get("Access-Control-Allow-Origin"), path)
	}
	for _, path := range []string{"/", "/page.js"} {
		assert.Equal(t, "no-cache", get(t, f.page, path).Header().Get("Cache-Control"), "a new version shows at once")
	}
	assert.Equal(t, "no-store", get(t, f.page, "/state.txt").Header().Get("Cache-Control"))
	assert.Equal(t, "no-store", get(t, f.page, "/state.json").Header().Get("Cache-Control"))

	etag := get(t, f.page, "/page.js").Header().Get("ETag")
	require.NotEmpty(t, etag)
	again := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/page.js", http.NoBody)
	again.Header.Set("If-None-Match", etag)
	w := httptest.NewRecorder()
	f.page.ServeHTTP(w, again)
	assert.Equal(t, http.StatusNotModified, w.Code)
}

func TestOnlyReads(t *testing.T) {
	t.Parallel()
	health, err := inspect.NewHealth()
	require.NoError(t, err)
	for name, handler := range map[string]http.Handler{"page": newFixture(t).page, "live": health.Live(), "ready": health.Ready()} {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, "BREW"} {
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, "/state.json", http.NoBody))
			assert.Equal(t, http.StatusMethodNotAllowed, w.Code, "%s %s", method, name)
			assert.Equal(t, "GET, HEAD", w.Header().Get("Allow"))
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodHead, "/state.json", http.NoBody))
		assert.Equal(t, http.StatusOK, w.Code, name)
	}
}

// No name ends a script or begins an element where it is shown.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const hostile = `"><script>alert(1)</script>`
	p := f.newPolicy(hostile)
	require.NoError(t, p.Do(t.Context(), func(context.Context) error { return nil }))
	body := get(t, f.page, "/state.json").Body.String()
	assert.NotContains(t, body, "<script>")
	assert.Equal(t, hostile, f.read(t, "").Policies[0].Name)
	assert.NotContains(t, get(t, f.page, "/").Body.String(), "alert(1)")
	assert.Equal(t, "text/plain; charset=utf-8", get(t, f.page, "/state.txt").Header().Get("Content-Type"))
}

// What the page loads is there, and nothing comes from elsewhere or stands inline.
func TestPageIsWhole(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	page := get(t, f.page, "/").Body.String()
	assert.NotContains(t, page, "<style")
	assert.NotContains(t, page, " style=")
	assert.NotContains(t, page, " onclick=")
	assert.NotContains(t, page, "//")
	assert.Contains(t, page, "<noscript>")
	for _, part := range strings.Split(page, `<script`)[1:] {
		tag, _, _ := strings.Cut(part, ">")
		assert.Contains(t, tag, "src=", "no inline script")
	}
}

func TestHandlerIsOne(t *testing.T) {
	t.Parallel()
	first, second := inspect.Handler(), inspect.Handler()
	assert.Same(t, first, second)
	assert.Equal(t, http.StatusOK, get(t, inspect.Handler(), "/debug/resilience/").Code)
}
