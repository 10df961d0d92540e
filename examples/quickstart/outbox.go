package main

import (
	"context"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
)

// An outbox is an HTTP transport that counts the requests that were never sent,
// because the attempt was cancelled before or found no connection. A dependency cannot
// have seen those.
type outbox struct {
	transport http.Transport
	dialer    net.Dialer
	unsent    atomic.Int64
}

// newOutbox returns an outbox that keeps that many idle connections. By default
// net/http keeps two a host, and 64 goroutines would open and close connections all
// the time.
func newOutbox(idle int) *outbox {
	o := &outbox{}
	o.transport.MaxIdleConnsPerHost = idle
	o.transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := o.dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &countedConn{Conn: conn}, nil
	}
	return o
}

// RoundTrip implements [http.RoundTripper].
//
// Whether a request was sent is read from its connection: httptrace tells that a
// request was written before it leaves the buffer, which a cancelled one may never do.
func (o *outbox) RoundTrip(req *http.Request) (*http.Response, error) {
	var conn *countedConn
	var before int64
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		conn = info.Conn.(*countedConn)
		before = conn.writes.Load()
	}}
	resp, err := o.transport.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
	if err != nil && (conn == nil || conn.writes.Load() == before) {
		o.unsent.Add(1)
	}
	return resp, err
}

// countedConn is a connection that counts the writes that sent something.
type countedConn struct {
	net.Conn
	writes atomic.Int64
}

func (c *countedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if n > 0 {
		c.writes.Add(1)
	}
	return n, err
}
