package retryhttp_test

import (
	"bytes"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/retryhttp"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// policyOf returns a policy that retries at once.
func policyOf(t *testing.T, opts ...retry.Option) *retry.Policy {
	t.Helper()
	p, err := retry.New("http", append([]retry.Option{
		retry.WithMaxRetries(2), retry.WithBackoff(backoff.Constant{}), retry.WithTelemetry(telemetry.Off()),
	}, opts...)...)
	require.NoError(t, err)
	return p
}

// A received is a request as a server got it.
type received struct {
	method string
	header http.Header
	body   string
}

// A scriptedServer answers the n-th request by the n-th handler, and further ones by the last.
type scriptedServer struct {
	*httptest.Server
	mu       sync.Mutex
	requests []received
	script   []http.HandlerFunc
}

func serve(t *testing.T, script ...http.HandlerFunc) *scriptedServer {
	t.Helper()
	s := &scriptedServer{script: script}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *scriptedServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.requests = append(s.requests, received{r.Method, r.Header.Clone(), string(body)})
	handle := s.script[min(len(s.requests), len(s.script))-1]
	s.mu.Unlock()
	r.Body = io.NopCloser(bytes.NewReader(body))
	handle(w, r)
}

// got returns the requests so far.
func (s *scriptedServer) got() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]received(nil), s.requests...)
}

// client returns a client of s with connections of its own.
func (s *scriptedServer) client(t *testing.T, p resilience.Policy, opts ...retryhttp.Option) *http.Client {
	t.Helper()
	base := &http.Transport{}
	t.Cleanup(base.CloseIdleConnections)
	transport, err := retryhttp.New(p, append([]retryhttp.Option{retryhttp.WithBase(base)}, opts...)...)
	require.NoError(t, err)
	return &http.Client{Transport: transport}
}

func status(code int, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Add(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
		io.WriteString(w, http.StatusText(code)) //nolint:errcheck // the test reads it
	}
}

func ok(w http.ResponseWriter, _ *http.Request) {
	io.WriteString(w, "hello") //nolint:errcheck // the test reads it
}

// hangUp ends the connection without an answer.
func hangUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// read returns the body of an answer, which it closes.
func read(t *testing.T, answer *http.Response) string {
	t.Helper()
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	assert.NoError(t, err)
	return string(body)
}

var discardLog = log.New(io.Discard, "", 0)

// rootsOf returns the certificates by which a client trusts a server.
func rootsOf(s *httptest.Server) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return pool
}
