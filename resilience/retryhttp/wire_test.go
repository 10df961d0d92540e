package retryhttp_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A wireServer serves its n-th connection by the n-th script, and further ones by the last. Its
// scripts speak to the client byte by byte, which no handler can.
type wireServer struct {
	URL      string
	accepted atomic.Int64
	requests atomic.Int64 // whose header has come

	listener net.Listener
	config   *tls.Config // nil: no TLS
	scripts  []func(*wire)
	mu       sync.Mutex
	open     map[net.Conn]bool
	running  sync.WaitGroup
}

// A wire is a connection of a client.
type wire struct {
	net.Conn
	server *wireServer
	raw    *net.TCPConn
	reader *bufio.Reader
	last   *http.Request
}

func serveWires(t *testing.T, scripts ...func(*wire)) *wireServer {
	t.Helper()
	return startWires(t, &wireServer{scripts: scripts})
}

func serveTLSWires(t *testing.T, config *tls.Config, scripts ...func(*wire)) *wireServer {
	t.Helper()
	return startWires(t, &wireServer{scripts: scripts, config: config})
}

func startWires(t *testing.T, s *wireServer) *wireServer {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.listener, s.open = listener, map[net.Conn]bool{}
	s.URL = "http://" + listener.Addr().String()
	if s.config != nil {
		s.URL = "https://" + listener.Addr().String()
	}
	s.running.Go(s.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		s.mu.Lock()
		for conn := range s.open {
			_ = conn.Close()
		}
		s.open = nil
		s.mu.Unlock()
		s.running.Wait()
	})
	return s
}

func (s *wireServer) accept() {
	for n := 0; ; n++ {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.accepted.Add(1)
		s.mu.Lock()
		if s.open == nil {
			_ = conn.Close()
		} else {
			s.open[conn] = true
		}
		s.mu.Unlock()
		s.running.Go(func() { s.serve(conn.(*net.TCPConn), s.scripts[min(n, len(s.scripts)-1)]) })
	}
}

func (s *wireServer) serve(raw *net.TCPConn, script func(*wire)) {
	w := &wire{Conn: raw, server: s, raw: raw}
	if s.config != nil {
		w.Conn = tls.Server(raw, s.config)
	}
	w.reader = bufio.NewReader(w.Conn)
	script(w)
	_ = w.Close()
	s.mu.Lock()
	delete(s.open, raw)
	s.mu.Unlock()
}

// header reads the header of the next request. It reports whether there was one.
func (w *wire) header() bool {
	r, err := http.ReadRequest(w.reader)
	if err != nil {
		return false
	}
	w.last = r
	w.server.requests.Add(1)
	return true
}

// request reads the next request, and reports whether there was one.
func (w *wire) request() bool {
	if !w.header() {
		return false
	}
	_, err := io.Copy(io.Discard, w.last.Body)
	return err == nil
}

func (w *wire) say(s string) { io.WriteString(w, s) } //nolint:errcheck // the client may have gone

// reset ends the connection by an RST.
func (w *wire) reset() {
	_ = w.raw.SetLinger(0)
	_ = w.raw.Close()
}

// stall waits until the client has gone.
func (w *wire) stall() { io.Copy(io.Discard, w) } //nolint:errcheck // any end is the end

// answers serves requests as a server does that nothing is wrong with.
func answers(w *wire) {
	for w.request() {
		w.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
	}
}

// after returns a script that reads a request and then does what follows.
func after(then ...func(*wire)) func(*wire) {
	return func(w *wire) {
		if !w.request() {
			return
		}
		for _, do := range then {
			do(w)
		}
	}
}

func saying(s string) func(*wire) { return func(w *wire) { w.say(s) } }

// transportOf returns a transport with connections of its own, which the test ends.
func transportOf(t *testing.T) *http.Transport {
	t.Helper()
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.Proxy = nil
	t.Cleanup(base.CloseIdleConnections)
	return base
}

func TestWireServer(t *testing.T) {
	t.Parallel()
	server := serveWires(t, answers)
	client := &http.Client{Transport: transportOf(t)}
	for range 2 {
		answer, err := client.Get(server.URL)
		require.NoError(t, err)
		assert.Equal(t, "hello", read(t, answer))
	}
	assert.EqualValues(t, 1, server.accepted.Load())
	assert.EqualValues(t, 2, server.requests.Load())

	secured := httptest.NewTLSServer(http.HandlerFunc(ok))
	defer secured.Close()
	secure := serveTLSWires(t, secured.TLS, answers)
	base := transportOf(t)
	base.TLSClientConfig = &tls.Config{RootCAs: rootsOf(secured)}
	answer, err := (&http.Client{Transport: base}).Get(secure.URL)
	require.NoError(t, err)
	assert.Equal(t, "hello", read(t, answer))
}
