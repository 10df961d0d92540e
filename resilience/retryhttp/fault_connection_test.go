package retryhttp_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/internal/signaltest"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/retryhttp"
)

// post makes a call without a key through base, under retries whose calls are counted in the
// map that it returns.
func post(t *testing.T, base http.RoundTripper, target string) (map[string]float64, error) {
	t.Helper()
	signals := signaltest.New()
	policy := retry.MustNew("http", retry.WithMaxRetries(2), retry.WithBackoff(backoff.Constant{}),
		retry.WithTelemetry(signals.Metrics()...))
	client := &http.Client{Transport: retryhttp.MustNew(policy, retryhttp.WithBase(base))}
	answer, err := client.Post(target, "text/plain", strings.NewReader("order"))
	if err == nil {
		answer.Body.Close()
	}
	calls := signals.Metric(t, "resilience.retry.calls")
	for labels, n := range calls {
		if n == 0 {
			delete(calls, labels)
		}
	}
	return calls, err
}

// dialing returns a transport that fails to get connections, and counts how often.
func dialing(t *testing.T, fails error) (*http.Transport, *atomic.Int64) {
	t.Helper()
	dials := new(atomic.Int64)
	base := transportOf(t)
	base.DialContext = func(context.Context, string, string) (net.Conn, error) {
		dials.Add(1)
		return nil, fails
	}
	return base, dials
}

// No connection, nothing sent: all methods are repeated, if the failure may pass.
func TestFaultsOfDials(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err   error
		dials int64
		calls string
	}{
		"no such host":  {&net.DNSError{Err: "no such host", Name: "x.example", IsNotFound: true}, 1, "dns_not_found unclassified http"},
		"server busy":   {&net.DNSError{Err: "server misbehaving", Name: "x.example", IsTemporary: true}, 3, "dns exhausted http"},
		"DNS timeout":   {&net.DNSError{Err: "i/o timeout", Name: "x.example", IsTimeout: true}, 3, "dns exhausted http"},
		"refused":       {&net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}, 3, "connection_refused exhausted http"},
		"unreachable":   {&net.OpError{Op: "dial", Net: "tcp", Err: syscall.EHOSTUNREACH}, 3, "host_unreachable exhausted http"},
		"dial timeout":  {&net.OpError{Op: "dial", Net: "tcp", Err: timeoutError{}}, 3, "timeout exhausted http"},
		"no permission": {&net.OpError{Op: "dial", Net: "tcp", Err: syscall.EACCES}, 1, "syscall.Errno unclassified http"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base, dials := dialing(t, test.err)
			calls, err := post(t, base, "http://x.example/")
			require.ErrorIs(t, err, test.err)
			assert.Equal(t, test.dials, dials.Load())
			if name == "no permission" || name == "no such host" {
				assert.Len(t, calls, 1)
				return
			}
			assert.Equal(t, map[string]float64{test.calls: 1}, calls)
		})
	}
}

type timeoutError struct{}

func (timeoutError) Error() string { return "too slow" }
func (timeoutError) Timeout() bool { return true }

// What the resolver of the system says comes through too.
func TestFaultOfResolver(t *testing.T) {
	t.Parallel()
	asked := new(atomic.Int64)
	base := transportOf(t)
	base.DialContext = (&net.Dialer{Resolver: &net.Resolver{
		PreferGo: true,
		Dial: func(context.Context, string, string) (net.Conn, error) {
			asked.Add(1)
			return nil, &net.OpError{Op: "dial", Net: "udp", Err: syscall.ECONNREFUSED}
		},
	}}).DialContext
	calls, err := post(t, base, "http://service.example/")
	found, isDNS := errors.AsType[*net.DNSError](err)
	require.True(t, isDNS, "%v", err)
	assert.True(t, found.IsTemporary)
	assert.GreaterOrEqual(t, asked.Load(), int64(3))
	assert.Equal(t, map[string]float64{"dns exhausted http": 1}, calls)
}

// A handshake that fails has sent nothing of the request.
func TestFaultsOfHandshakes(t *testing.T) {
	t.Parallel()
	secured := httptest.NewTLSServer(http.HandlerFunc(ok))
	t.Cleanup(secured.Close)
	old := secured.TLS.Clone()
	old.MaxVersion = tls.VersionTLS11
	hello := func(w *wire) { _, _ = w.raw.Read(make([]byte, 1)) }
	for name, test := range map[string]struct {
		server   *wireServer
		attempts int64
		untold   bool // the client trusts nobody
		types    []string
	}{
		"reset":            {serveWires(t, func(w *wire) { hello(w); w.reset() }), 3, false, reset},
		"closed":           {serveWires(t, func(w *wire) { hello(w); _ = w.raw.CloseWrite(); w.stall() }), 3, false, hungUp},
		"plain":            {serveWires(t, func(w *wire) { w.say("HTTP/1.1 400 Bad Request\r\n\r\n"); w.stall() }), 1, false, nil},
		"garbage":          {serveWires(t, func(w *wire) { w.say("SSH-2.0-OpenSSH_9.9\r\n"); w.stall() }), 1, false, nil},
		"old":              {serveTLSWires(t, old, answers), 1, false, nil},
		"no certificate":   {serveTLSWires(t, &tls.Config{GetCertificate: noCertificate}, answers), 3, false, nil},
		"unknown":          {serveTLSWires(t, secured.TLS, answers), 1, true, nil},
		"nothing is wrong": {serveTLSWires(t, secured.TLS, answers), 1, false, nil},
	} {
		for _, unknown := range []resilience.Class{resilience.ClassUnknown, resilience.ClassRetryable} {
			t.Run(name+"/"+unknown.String(), func(t *testing.T) {
				t.Parallel()
				retries := new(atomic.Int64)
				base := transportOf(t)
				if base.TLSClientConfig = new(tls.Config); !test.untold {
					base.TLSClientConfig.RootCAs = rootsOf(secured)
				}
				policy := policyOf(t, retry.WithUnknown(unknown),
					retry.WithOnRetry(func(context.Context, retry.Retry) { retries.Add(1) }))
				client := &http.Client{Transport: retryhttp.MustNew(policy, retryhttp.WithBase(base))}
				target := "https://" + test.server.listener.Addr().String()
				answer, err := client.Post(target, "text/plain", strings.NewReader("order"))
				if err == nil {
					answer.Body.Close()
				}
				assert.Equal(t, name != "nothing is wrong", err != nil)
				want := test.attempts
				if name == "no certificate" && unknown == resilience.ClassUnknown {
					want = 1 // nobody knows
				}
				assert.Equal(t, want-1, retries.Load(), "%v", err)
				if test.types != nil {
					assert.Contains(t, test.types, resilience.ErrorType(err), "%v", err)
				}
			})
		}
	}
}

// noCertificate fails as a server does of which the store of certificates is away.
func noCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, errors.New("not now") }

// A server may close a connection just as the next request is on its way. Package net/http
// repeats what may be repeated by itself then, without an attempt of the policy; of the rest
// the policy is told, and nothing is sent twice.
func TestIdleConnectionIsClosed(t *testing.T) {
	t.Parallel()
	for method, test := range map[string]struct {
		key      string
		requests int64 // that the server sees after the first
		fails    bool
	}{
		"GET": {"", 2, false}, "PUT": {"", 2, false}, "POST": {"", 1, true}, "PATCH": {"key", 2, false},
	} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			// The server reads the second request and closes: to the client it looks the same.
			server := serveWires(t, func(w *wire) {
				if w.request() {
					w.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
					w.request()
				}
			}, answers)
			client := &http.Client{Transport: retryhttp.MustNew(policyOf(t), retryhttp.WithBase(transportOf(t)))}
			answer, err := client.Get(server.URL)
			require.NoError(t, err)
			assert.Equal(t, "hello", read(t, answer))

			request, err := http.NewRequestWithContext(t.Context(), method, server.URL, strings.NewReader("body"))
			require.NoError(t, err)
			if test.key != "" {
				request.Header.Set("Idempotency-Key", test.key)
			}
			answer, err = client.Do(request)
			if assert.Equal(t, test.fails, err != nil, "%v", err); err == nil {
				assert.Equal(t, "hello", read(t, answer))
			} else {
				assert.Equal(t, "unexpected_eof", resilience.ErrorType(err))
			}
			assert.Equal(t, 1+test.requests, server.requests.Load())
		})
	}
}

// A connection that ended while it was idle is not noticed by anybody.
func TestIdleConnectionWasClosed(t *testing.T) {
	t.Parallel()
	closed := make(chan struct{})
	server := serveWires(t, func(w *wire) {
		if w.request() {
			w.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
		}
		_ = w.Close()
		close(closed)
	}, answers)
	base := transportOf(t)
	client := &http.Client{Transport: retryhttp.MustNew(policyOf(t), retryhttp.WithBase(base))}
	answer, err := client.Get(server.URL)
	require.NoError(t, err)
	assert.Equal(t, "hello", read(t, answer))
	<-closed
	answer, err = client.Post(server.URL, "text/plain", http.NoBody)
	if err == nil { // else the request may have been on its way, which is for the caller to judge
		assert.Equal(t, "hello", read(t, answer))
	}
	assert.LessOrEqual(t, server.requests.Load(), int64(2))
}
