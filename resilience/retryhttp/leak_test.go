package retryhttp_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/retryhttp"
)

// A countingServer counts its connections.
type countingServer struct {
	*httptest.Server
	opened, open, requests atomic.Int64
}

func serveCounting(t *testing.T, h http.HandlerFunc) *countingServer {
	t.Helper()
	s := new(countingServer)
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		h(w, r)
	}))
	s.Config.ErrorLog = discardLog
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			s.opened.Add(1)
			s.open.Add(1)
		case http.StateClosed, http.StateHijacked:
			s.open.Add(-1)
		case http.StateActive, http.StateIdle:
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// A countingTransport counts the bodies, of requests and of answers, that are not closed.
type countingTransport struct {
	base     http.RoundTripper
	attempts atomic.Int64
	bodies   atomic.Int64
}

func (c *countingTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	c.attempts.Add(1)
	r = r.Clone(r.Context())
	if r.Body != nil && r.Body != http.NoBody {
		c.bodies.Add(1)
		r.Body = &countedClose{r.Body, &c.bodies, sync.Once{}}
	}
	answer, err := c.base.RoundTrip(r)
	if err == nil && answer.Body != http.NoBody {
		c.bodies.Add(1)
		answer.Body = &countedClose{answer.Body, &c.bodies, sync.Once{}}
	}
	return answer, err
}

type countedClose struct {
	io.ReadCloser
	open *atomic.Int64
	once sync.Once
}

func (c *countedClose) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.ReadCloser.Close()
}

const callers = 64

// share runs up to n calls by all callers together, until one returns false. It returns how
// many were made.
func share(n int, call func(i int) bool) int64 {
	var next, made atomic.Int64
	var running sync.WaitGroup
	for range callers {
		running.Go(func() {
			for i := int(next.Add(1)); i <= n && call(i); i = int(next.Add(1)) {
				made.Add(1)
			}
		})
	}
	running.Wait()
	return made.Load()
}

// becomes waits until count returns want or less.
func becomes(t *testing.T, what string, want int64, count func() int64) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for range 10_000 {
		if count() <= want {
			return
		}
		<-tick.C
	}
	stacks := make([]byte, 1<<16)
	t.Errorf("%s: %d left, want %d\n%s", what, count(), want, stacks[:runtime.Stack(stacks, true)])
}

// faulty answers in all the ways in which an answer may go wrong, as the path says.
func faulty(w http.ResponseWriter, r *http.Request) {
	n, _ := strconv.Atoi(r.URL.Path[1:])
	if r.Header.Get("Previous-Attempts") != "" {
		n /= 32 // another fault, or none
	}
	switch n % 32 {
	case 1:
		hangUp(w, r)
	case 2:
		w.WriteHeader(http.StatusBadGateway)
		w.Write(largeBody[:10<<10]) //nolint:errcheck // the client may have gone
	case 3:
		w.WriteHeader(http.StatusGatewayTimeout)
		w.Write(largeBody[:100<<10]) //nolint:errcheck // the client may have gone
	case 4: // a body that breaks off
		w.Header().Set("Content-Length", "100")
		w.WriteHeader(http.StatusInternalServerError)
		io.WriteString(w, "hello") //nolint:errcheck // the client may have gone
	case 5: // an answer before the end of the request
		status(503, "Connection", "close")(w, r)
	case 6:
		io.Copy(io.Discard, r.Body) //nolint:errcheck // as far as it comes
		hangUp(w, r)
	case 7:
		status(503, "X-Should-Retry", "false")(w, r)
	case 0, 8:
		io.Copy(w, r.Body) //nolint:errcheck // the client may have gone
	default:
		status(503)(w, r)
	}
}

// Many calls with all kinds of faults leave nothing behind.
// It counts goroutines, and so runs alone.
func TestNothingLeaks(t *testing.T) {
	calls, limit := 100_000, 15*time.Second
	if testing.Short() || raceEnabled {
		calls, limit = 10_000, 5*time.Second
	}
	server := serveCounting(t, faulty)
	base := transportOf(t)
	base.MaxIdleConnsPerHost = callers
	counting := &countingTransport{base: base}
	client := &http.Client{Transport: retryhttp.MustNew(policyOf(t, retry.WithAttemptTimeout(time.Minute)), retryhttp.WithBase(counting))}
	before := int64(runtime.NumGoroutine())
	began := time.Now()
	var failed, answered [6]atomic.Int64
	made := share(calls, func(i int) bool {
		if time.Since(began) > limit {
			return false
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		method, body := http.MethodGet, io.Reader(nil)
		switch i % 3 {
		case 1:
			method, body = http.MethodPut, strings.NewReader("hello")
		case 2:
			method, body = http.MethodPost, opaque("hello")
		}
		request, err := http.NewRequestWithContext(ctx, method, server.URL+"/"+strconv.Itoa(i), body)
		if err != nil {
			panic(err)
		}
		answer, err := client.Do(request)
		if err != nil {
			failed[0].Add(1)
			return true
		}
		answered[answer.StatusCode/100].Add(1)
		switch i % 20 {
		case 0:
			cancel()
		case 1: // it is closed unread
		default:
			io.Copy(io.Discard, answer.Body) //nolint:errcheck // it may break off
		}
		answer.Body.Close()
		return true
	})
	t.Logf("%d calls, %d attempts, %d connections in %v: %d failed, %d of status 2xx, %d of status 5xx", made,
		counting.attempts.Load(), server.opened.Load(), time.Since(began), failed[0].Load(), answered[2].Load(), answered[5].Load())
	assert.Equal(t, made, failed[0].Load()+answered[2].Load()+answered[5].Load())
	assert.NotZero(t, failed[0].Load())
	assert.NotZero(t, answered[5].Load())
	becomes(t, "bodies that are open", 0, counting.bodies.Load)
	base.CloseIdleConnections()
	becomes(t, "connections that are open", 0, server.open.Load)
	becomes(t, "goroutines", before, func() int64 { return int64(runtime.NumGoroutine()) })
}

// The connection of a failed answer is used again: there are as many as there are callers, and
// not as there are attempts.
func TestConnectionsAreReused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		size   int
		reused bool
	}{"small": {10, true}, "10 KB": {10 << 10, true}, "60 KiB": {60 << 10, true}, "beyond what is read ahead": {200 << 10, false}} {
		server := serveCounting(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Previous-Attempts") != "2" {
				w.WriteHeader(http.StatusServiceUnavailable)
				w.Write(largeBody[:test.size]) //nolint:errcheck // the client may not want it
				return
			}
			ok(w, r)
		})
		base := transportOf(t)
		base.MaxIdleConnsPerHost = callers
		client := &http.Client{Transport: retryhttp.MustNew(policyOf(t), retryhttp.WithBase(base))}
		const calls = 3 * callers
		share(calls, func(int) bool {
			answer, err := client.Get(server.URL)
			return assert.NoError(t, err) && assert.Equal(t, "hello", read(t, answer))
		})
		assert.EqualValues(t, 3*calls, server.requests.Load(), name)
		t.Logf("%s: %d attempts over %d connections", name, server.requests.Load(), server.opened.Load())
		if test.reused {
			assert.LessOrEqual(t, server.opened.Load(), int64(2*callers), name)
		}
		base.CloseIdleConnections()
		becomes(t, "connections that are open", 0, server.open.Load)
	}
}

// A failed answer that never ends keeps neither the call nor anything else.
func TestStalledAnswersDoNotLeak(t *testing.T) {
	server := serveCounting(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Previous-Attempts") != "" {
			ok(w, r)
			return
		}
		w.Header().Set("Content-Length", "100")
		w.WriteHeader(http.StatusServiceUnavailable)
		http.NewResponseController(w).Flush() //nolint:errcheck // the client may have gone
		<-r.Context().Done()
	})
	base := transportOf(t)
	base.MaxIdleConnsPerHost = callers
	counting := &countingTransport{base: base}
	before := int64(runtime.NumGoroutine())
	client := &http.Client{Transport: retryhttp.MustNew(policyOf(t), retryhttp.WithBase(counting))}
	share(2*callers, func(int) bool {
		answer, err := client.Get(server.URL)
		return assert.NoError(t, err) && assert.Equal(t, "hello", read(t, answer))
	})
	require.EqualValues(t, 4*callers, server.requests.Load())
	becomes(t, "bodies that are open", 0, counting.bodies.Load)
	base.CloseIdleConnections()
	becomes(t, "connections that are open", 0, server.open.Load)
	becomes(t, "goroutines", before, func() int64 { return int64(runtime.NumGoroutine()) })
}
