package retryhttp_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retryhttp"
)

// Types of frames of HTTP/2 and codes of its errors (RFC 9113, sections 6 and 7).
const (
	frameHeaders  = 1
	frameRST      = 3
	frameSettings = 4
	frameGoAway   = 7

	codeInternal = 2
	codeCancel   = 8
)

// frame returns a frame of HTTP/2 (RFC 9113, section 4.1).
func frame(kind, flags byte, stream uint32, payload []byte) string {
	header := make([]byte, 9, 9+len(payload))
	header[2], header[3], header[4] = byte(len(payload)), kind, flags
	binary.BigEndian.PutUint32(header[5:], stream)
	return string(append(header, payload...))
}

func number(numbers ...uint32) (payload []byte) {
	for _, n := range numbers {
		payload = binary.BigEndian.AppendUint32(payload, n)
	}
	return payload
}

// An http2Step does something with a request by HTTP/2 whose header is there, and reports
// whether the connection goes on.
type http2Step func(w *wire, stream uint32) bool

// http2Script returns a script that does the n-th step with the n-th request of all connections,
// and the last with further ones.
func http2Script(steps ...http2Step) func(*wire) {
	return func(w *wire) {
		if _, err := io.CopyN(io.Discard, w.reader, int64(len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))); err != nil {
			return
		}
		w.say(frame(frameSettings, 0, 0, nil))
		for header := make([]byte, 9); ; {
			if _, err := io.ReadFull(w.reader, header); err != nil {
				return
			}
			size := int64(header[0])<<16 | int64(header[1])<<8 | int64(header[2])
			if _, err := io.CopyN(io.Discard, w.reader, size); err != nil {
				return
			}
			if header[3] != frameHeaders {
				continue
			}
			n := int(w.server.requests.Add(1))
			if !steps[min(n, len(steps))-1](w, binary.BigEndian.Uint32(header[5:])) {
				return
			}
		}
	}
}

// ok2 sends the header of an answer of status 200 without a body: the 8th entry of the static
// table of HPACK (RFC 7541, appendix A). It ends the stream and the header.
func ok2(w *wire, stream uint32) bool {
	w.say(frame(frameHeaders, 1|4, stream, []byte{0x88}))
	return true
}

func TestFaultsOfHTTP2(t *testing.T) {
	t.Parallel()
	secured := httptest.NewUnstartedServer(nil)
	secured.EnableHTTP2 = true
	secured.StartTLS()
	t.Cleanup(secured.Close)
	for name, test := range map[string]struct {
		fault http2Step
		types []string
	}{
		"stream reset": {func(w *wire, stream uint32) bool {
			w.say(frame(frameRST, 0, stream, number(codeInternal)))
			return true
		}, hungUp},
		"stream cancelled": {func(w *wire, stream uint32) bool {
			w.say(frame(frameRST, 0, stream, number(codeCancel)))
			return true
		}, hungUp},
		"go away, with the stream": {func(w *wire, stream uint32) bool {
			w.say(frame(frameGoAway, 0, 0, number(stream, codeInternal)))
			return false
		}, hungUp},
		"connection closed": {func(*wire, uint32) bool { return false }, hungUp},
		"connection reset":  {func(w *wire, _ uint32) bool { w.reset(); return false }, reset},
	} {
		for method, want := range map[string]int64{"GET": 3, "PUT": 3, "POST": 1} {
			t.Run(name+"/"+method, func(t *testing.T) {
				t.Parallel()
				run := func(steps ...http2Step) (*wireServer, error) {
					server := serveTLSWires(t, secured.TLS, http2Script(steps...))
					base := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: rootsOf(secured)}}
					t.Cleanup(base.CloseIdleConnections)
					request, err := http.NewRequestWithContext(t.Context(), method, server.URL, strings.NewReader("body"))
					require.NoError(t, err)
					answer, err := (&http.Client{Transport: retryhttp.MustNew(policyOf(t), retryhttp.WithBase(base))}).Do(request)
					if err == nil {
						assert.Equal(t, 2, answer.ProtoMajor)
						answer.Body.Close()
					}
					return server, err
				}
				server, err := run(test.fault)
				require.Error(t, err)
				assert.Equal(t, want, server.requests.Load())
				if method != "POST" {
					assert.Contains(t, test.types, resilience.ErrorType(err), "%v", err)
					server, err = run(test.fault, ok2)
					require.NoError(t, err)
					assert.EqualValues(t, 2, server.requests.Load())
				}
			})
		}
	}
}

// http2Server starts a server that speaks HTTP/2, and a client of it.
func http2Server(t *testing.T, h http.HandlerFunc) (*httptest.Server, *http.Transport) {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.EnableHTTP2 = true
	server.Config.ErrorLog = discardLog
	server.StartTLS()
	t.Cleanup(server.Close)
	base := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: rootsOf(server)}}
	t.Cleanup(base.CloseIdleConnections)
	return server, base
}

// Failed answers leave the connection to the next attempts, and bodies and trailers come through.
func TestHTTP2(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	addresses := make(chan string, 3)
	server, base := http2Server(t, func(w http.ResponseWriter, r *http.Request) {
		addresses <- r.RemoteAddr
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Trailer", "Sum")
		switch requests.Add(1) {
		case 1:
			status(503)(w, r)
		case 2:
			hangUp(w, r) // a stream error
		default:
			w.Write(body) //nolint:errcheck // the test reads it
			w.Header().Set("Sum", r.Header.Get("Previous-Attempts"))
		}
	})
	client := &http.Client{Transport: retryhttp.MustNew(policyOf(t), retryhttp.WithBase(base))}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL, io.NopCloser(bytes.NewReader(largeBody[:100_000])))
	require.NoError(t, err)
	answer, err := client.Do(request)
	require.NoError(t, err)
	assert.Equal(t, string(largeBody[:100_000]), read(t, answer))
	assert.Equal(t, "2", answer.Trailer.Get("Sum"))
	assert.Equal(t, 2, answer.ProtoMajor)
	first := <-addresses
	assert.Equal(t, first, <-addresses)
	assert.Equal(t, first, <-addresses)
}
