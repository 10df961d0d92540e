package retryhttp_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/http/httputil"
	"net/textproto"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience/retryhttp"
)

// proxyTo returns the address of a proxy that repeats what the server behind it fails with.
func proxyTo(t *testing.T, server string) string {
	t.Helper()
	target, err := url.Parse(server)
	require.NoError(t, err)
	base := &http.Transport{}
	t.Cleanup(base.CloseIdleConnections)
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     retryhttp.MustNew(policyOf(t), retryhttp.WithBase(base)),
		FlushInterval: -1,
		ErrorLog:      discardLog,
	}
	front := httptest.NewServer(handle(t, proxy.ServeHTTP))
	t.Cleanup(front.Close)
	return front.URL
}

func TestProxyRepeats(t *testing.T) {
	t.Parallel()
	server := serve(t, status(503), hangUp, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "Checksum")
		io.Copy(w, r.Body) //nolint:errcheck // the test reads it
		w.Header().Set("Checksum", "42")
	})
	body := strings.Repeat("0123456789", 1000)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, proxyTo(t, server.URL), strings.NewReader(body))
	require.NoError(t, err)
	answer, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	assert.Equal(t, 200, answer.StatusCode)
	assert.Equal(t, body, read(t, answer))
	assert.Equal(t, "42", answer.Trailer.Get("Checksum"))
	got := server.got()
	require.Len(t, got, 3)
	for i, r := range got {
		assert.Equal(t, body, r.body)
		assert.Equal(t, []string{"", "1", "2"}[i], r.header.Get("Previous-Attempts"))
	}
}

// A proxy that gave up tells so, and one that is asked again asks once.
func TestProxyBetweenLayers(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]http.HandlerFunc{"status": status(503), "hang up": hangUp} {
		server := serve(t, fault)
		front := proxyTo(t, server.URL)
		for _, test := range []struct {
			previous, shouldRetry string
			attempts              int
		}{{"", "false", 3}, {"1", "", 1}} {
			before := len(server.got())
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, front, http.NoBody)
			require.NoError(t, err)
			request.Header.Set("Previous-Attempts", test.previous)
			answer, err := http.DefaultClient.Do(request)
			require.NoError(t, err)
			answer.Body.Close()
			assert.Equal(t, test.shouldRetry, answer.Header.Get("X-Should-Retry"), name)
			assert.GreaterOrEqual(t, answer.StatusCode, 502)
			assert.Len(t, server.got(), before+test.attempts, name)
		}
	}
}

func TestProxyPassesUpgradesAndHints(t *testing.T) {
	t.Parallel()
	echo := echoes(t, func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) { return w.(http.Hijacker).Hijack() })
	server := serve(t, status(503), func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			echo(w, r)
			return
		}
		w.WriteHeader(http.StatusEarlyHints)
		ok(w, r)
	})
	front := proxyTo(t, server.URL)
	upgrade(t, http.DefaultClient, front)
	assert.Len(t, server.got(), 2)

	hints := 0
	request, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(int, textproto.MIMEHeader) error { hints++; return nil },
	}), http.MethodGet, front, http.NoBody)
	require.NoError(t, err)
	answer, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	assert.Equal(t, "hello", read(t, answer))
	assert.Equal(t, 1, hints)
}
