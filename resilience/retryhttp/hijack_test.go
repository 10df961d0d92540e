package retryhttp_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retryhttp"
)

// echoes takes the connection over and returns what it gets.
func echoes(t *testing.T, hijack func(http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, buffered, err := hijack(w)
		if !assert.NoError(t, err) {
			return
		}
		defer conn.Close()                                                                                       //nolint:errcheck // the client has closed it
		buffered.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n") //nolint:errcheck // Flush tells
		assert.NoError(t, buffered.Flush())
		io.Copy(conn, buffered) //nolint:errcheck // until the client goes away
	}
}

// upgrade asks for the protocol of [echoes], and speaks it.
func upgrade(t *testing.T, client *http.Client, url string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	require.NoError(t, err)
	request.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"echo"}}
	answer, err := client.Do(request)
	require.NoError(t, err)
	defer answer.Body.Close()
	require.Equal(t, 101, answer.StatusCode)
	conn, isConn := answer.Body.(io.ReadWriter)
	require.True(t, isConn)
	for _, word := range []string{"ping", "pong"} {
		_, err = io.WriteString(conn, word)
		require.NoError(t, err)
		got := make([]byte, len(word))
		_, err = io.ReadFull(conn, got)
		require.NoError(t, err)
		assert.Equal(t, word, string(got))
	}
}

// A connection that was taken over is no longer the business of the guard, also if the context
// has ended since: it gets no answer of ours.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	for name, hijack := range map[string]func(http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error){
		"Hijacker": func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) { return w.(http.Hijacker).Hijack() },
		"ResponseController": func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) {
			return http.NewResponseController(w).Hijack()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			guard := resilience.PolicyFunc(func(ctx context.Context, op resilience.Operation) error {
				ctx, cancel := context.WithCancel(ctx)
				cancel()
				return op(ctx)
			})
			h := handle(t, echoes(t, hijack), retryhttp.WithGuard(guard))
			over := make(chan struct{})
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				h.ServeHTTP(w, r)
				close(over)
			}))
			var complaints lockedBuffer
			server.Config.ErrorLog = complaints.logger()
			server.Start()
			t.Cleanup(server.Close)
			transport := retryhttp.MustNew(policyOf(t), retryhttp.WithBase(server.Client().Transport))
			upgrade(t, &http.Client{Transport: transport}, server.URL)
			<-over
			assert.Empty(t, complaints.String())
		})
	}
}

func TestFailedHijackIsNoAnswer(t *testing.T) {
	t.Parallel()
	h := handle(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Error(t, policyOf(t).Do(r.Context(), down))
		_, _, err := w.(http.Hijacker).Hijack()
		assert.ErrorIs(t, err, http.ErrNotSupported)
		http.Error(w, "no upgrade", http.StatusInternalServerError)
	})
	recorder := httptest.NewRecorder()
	writer := struct {
		*httptest.ResponseRecorder
		brokenHijacker
	}{recorder, brokenHijacker{}}
	h.ServeHTTP(writer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
	assert.Equal(t, "false", recorder.Header().Get("X-Should-Retry"))
}

type brokenHijacker struct{}

func (brokenHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, http.ErrNotSupported
}

// A push reaches the server.
func TestPush(t *testing.T) {
	t.Parallel()
	var pushed pusher
	h := handle(t, func(w http.ResponseWriter, _ *http.Request) {
		assert.NoError(t, w.(http.Pusher).Push("/style.css", nil))
	})
	h.ServeHTTP(struct {
		*httptest.ResponseRecorder
		*pusher
	}{httptest.NewRecorder(), &pushed}, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
	assert.Equal(t, pusher{"/style.css"}, pushed)

	refused := handle(t, func(w http.ResponseWriter, _ *http.Request) {
		assert.ErrorIs(t, w.(http.Pusher).Push("/style.css", nil), http.ErrNotSupported, "Go's client wants none")
	})
	getNothing(t, realServers(t, refused)["HTTP/2.0"])
}

type pusher []string

func (p *pusher) Push(target string, _ *http.PushOptions) error {
	*p = append(*p, target)
	return nil
}
