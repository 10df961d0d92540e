package main

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// A dependency is an HTTP server on loopback that searches, and fails as services do.
// It counts every request that reaches it, before it does anything else.
type dependency struct {
	url      string
	timeline timeline
	requests [numPhases]atomic.Int64 // by the phase in which they came
	server   *http.Server
	served   chan error
}

// startDependency returns a dependency that is ready to be called.
func startDependency(t timeline) (*dependency, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	d := &dependency{
		url:      "http://" + listener.Addr().String() + "/search",
		timeline: t,
		served:   make(chan error, 1),
	}
	// The header timeout is longer than a run: a connection that it closed while a
	// request is on the way would lose a request that the client counts as sent.
	d.server = &http.Server{Handler: d, ReadHeaderTimeout: 2 * time.Minute}
	go func() { d.served <- d.server.Serve(listener) }()
	return d, nil
}

// ServeHTTP counts the request, and answers it or fails.
func (d *dependency) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := d.timeline.at(time.Now())
	d.requests[now].Add(1)
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return // the client has gone
	}
	time.Sleep(rand.N(6 * time.Millisecond)) // it has some work to do
	pick(faultsIn(now))(w, r)
}

// total returns how many requests have come.
func (d *dependency) total() int64 {
	var sum int64
	for p := range d.requests {
		sum += d.requests[p].Load()
	}
	return sum
}

// rate returns how many requests a second came in a phase, up to a time.
func (d *dependency) rate(p phase, now time.Time) float64 {
	return float64(d.requests[p].Load()) / d.timeline.spent(p, now).Seconds()
}

// close ends the server with all its connections.
func (d *dependency) close() error {
	err := d.server.Close()
	if served := <-d.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
