package retryhttp

import (
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync/atomic"

	"github.com/observable-go/toolkit/internal/layers"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// idempotent reports whether a request may be executed twice by what it says of itself.
func idempotent(r *http.Request) bool {
	switch r.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	_, standard := r.Header["Idempotency-Key"]
	_, common := r.Header["X-Idempotency-Key"]
	return standard || common
}

// outgoing returns the request of an attempt. It is a shallow copy: a transport fills in the
// trailer that the caller has made.
func (c *call) outgoing(ctx context.Context, body io.ReadCloser) *http.Request {
	previous := 0
	if !c.transport.silent {
		previous = layers.Previous(ctx)
	}
	if previous > 0 {
		ctx = telemetry.WithPreviousAttempts(ctx, previous)
	}
	r := c.request.WithContext(ctx)
	if c.body.source != nil {
		r.Body = body
	}
	if previous > 0 {
		r.Header = r.Header.Clone()
		if r.Header == nil {
			r.Header = make(http.Header)
		}
		r.Header.Set(layers.PreviousAttempts, strconv.Itoa(previous))
	}
	return r
}

// A sentWatch sees whether a request got a connection.
type sentWatch struct {
	asked, connected atomic.Bool
}

// watchSent returns a context for a request whose way is watched.
func watchSent(ctx context.Context) (context.Context, *sentWatch) {
	w := new(sentWatch)
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { w.asked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { w.connected.Store(true) },
	}), w
}

// never reports whether it is certain that nothing was sent. A transport that tells of no
// connection at all may have sent it.
func (w *sentWatch) never() bool {
	return w != nil && w.asked.Load() && !w.connected.Load()
}
