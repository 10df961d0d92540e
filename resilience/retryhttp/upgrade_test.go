package retryhttp_test

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/retryhttp"
)

// shout changes the protocol to one that sends back each line in capitals, and says bye at the end.
func shout(w http.ResponseWriter, _ *http.Request) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	head := "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
	io.WriteString(conn, head+"ready\n") //nolint:errcheck // the test reads it
	for lines := bufio.NewScanner(buffered); lines.Scan(); {
		io.WriteString(conn, strings.ToUpper(lines.Text())+"\n") //nolint:errcheck // the test reads it
	}
	io.WriteString(conn, "bye\n") //nolint:errcheck // the test reads it
}

func upgraded(t *testing.T, client *http.Client, target string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, http.NoBody)
	require.NoError(t, err)
	request.Header.Set("Connection", "Upgrade")
	request.Header.Set("Upgrade", "echo")
	answer, err := client.Do(request)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, answer.StatusCode)
	return answer
}

// An upgraded connection works both ways after the attempt that opened it, also half closed.
func TestUpgradedConnection(t *testing.T) {
	t.Parallel()
	server := serve(t, status(503), hangUp, shout)
	policies := policyOf(t, retry.WithAttemptTimeout(time.Hour))
	answer := upgraded(t, server.client(t, policies), server.URL)
	defer answer.Body.Close()
	conn, isWriter := answer.Body.(io.ReadWriteCloser)
	require.True(t, isWriter)
	lines := bufio.NewReader(conn)
	for _, want := range []string{"ready", "ONE", "TWO"} {
		line, err := lines.ReadString('\n')
		require.NoError(t, err)
		assert.Equal(t, want+"\n", line)
		_, err = io.WriteString(conn, map[string]string{"ready": "one\n", "ONE": "two\n"}[want])
		require.NoError(t, err)
	}
	half, canHalf := answer.Body.(interface{ CloseWrite() error })
	require.True(t, canHalf, "as without a policy")
	require.NoError(t, half.CloseWrite())
	rest, err := io.ReadAll(lines)
	require.NoError(t, err)
	assert.Equal(t, "bye\n", string(rest))
	assert.Len(t, server.got(), 3)
}

// A proxy passes upgraded connections on through a Transport.
func TestUpgradeThroughProxy(t *testing.T) {
	t.Parallel()
	server := serve(t, status(503), shout)
	target, err := url.Parse(server.URL)
	require.NoError(t, err)
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: server.client(t, policyOf(t)).Transport,
		ErrorLog:  discardLog,
	})
	t.Cleanup(proxy.Close)
	answer := upgraded(t, &http.Client{Transport: transportOf(t)}, proxy.URL)
	defer answer.Body.Close()
	conn := answer.Body.(io.ReadWriteCloser)
	_, err = io.WriteString(conn, "hello\n")
	require.NoError(t, err)
	require.NoError(t, answer.Body.(interface{ CloseWrite() error }).CloseWrite())
	all, err := io.ReadAll(conn)
	require.NoError(t, err)
	assert.Equal(t, "ready\nHELLO\nbye\n", string(all))
}

// A tunnel is opened by CONNECT, which is not repeated.
func TestConnect(t *testing.T) {
	t.Parallel()
	server := serveWires(t, func(w *wire) {
		if w.header() {
			w.say("HTTP/1.1 200 OK\r\n\r\n")
			io.Copy(w, w.reader) //nolint:errcheck // until the client has gone
		}
	})
	body, tunnel := io.Pipe()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodConnect, server.URL, body)
	require.NoError(t, err)
	answer, err := retryhttp.MustNew(policyOf(t), retryhttp.WithBase(transportOf(t))).RoundTrip(request)
	require.NoError(t, err)
	defer answer.Body.Close()
	for _, text := range []string{"one", "two"} {
		_, err = io.WriteString(tunnel, text)
		require.NoError(t, err)
		got := make([]byte, len(text))
		_, err = io.ReadFull(answer.Body, got)
		require.NoError(t, err)
		assert.Equal(t, text, string(got))
	}
	require.NoError(t, tunnel.Close())

	refusing := serveWires(t, after(saying("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")))
	request, err = http.NewRequestWithContext(t.Context(), http.MethodConnect, refusing.URL, http.NoBody)
	require.NoError(t, err)
	answer, err = retryhttp.MustNew(policyOf(t), retryhttp.WithBase(transportOf(t))).RoundTrip(request)
	require.NoError(t, err)
	answer.Body.Close()
	assert.Equal(t, 503, answer.StatusCode)
	assert.EqualValues(t, 1, refusing.requests.Load())
}

// withTrailers answers with trailers of which one is announced.
func withTrailers(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "Sum")
		w.WriteHeader(code)
		io.WriteString(w, "hello") //nolint:errcheck // the test reads it
		w.Header().Set("Sum", "42")
		w.Header().Set(http.TrailerPrefix+"Late", "yes")
	}
}

// Trailers are filled in at the end of the body and not before: until then the caller may look
// at those that are announced.
func TestTrailersOfAnswers(t *testing.T) {
	t.Parallel()
	for _, code := range []int{200, 404, 503} {
		for range 20 { // it takes a race to show
			server := serve(t, withTrailers(503), withTrailers(code))
			answer, err := server.client(t, policyOf(t, retry.WithMaxRetries(1))).Get(server.URL)
			require.NoError(t, err)
			assert.Equal(t, code, answer.StatusCode)
			assert.Equal(t, http.Header{"Sum": nil}, answer.Trailer, code)
			assert.Equal(t, "hello", read(t, answer))
			assert.Equal(t, http.Header{"Sum": {"42"}, "Late": {"yes"}}, answer.Trailer, code)
		}
	}
}
