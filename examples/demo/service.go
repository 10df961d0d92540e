package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/observable-go/toolkit/resilience/retryhttp"
)

const (
	nameStorefront = "storefront"
	nameInventory  = "inventory"
	namePayments   = "payments"
)

var serviceNames = []string{nameStorefront, nameInventory, namePayments}

// A service is what the three have in common: an HTTP server of its own, OpenTelemetry
// providers of its own, faults, and the journal that all write down their requests in.
type service struct {
	name     string
	signals  *signals
	faults   *faults
	journal  *journal
	listener net.Listener
	mux      *http.ServeMux
	server   *http.Server
	debug    *debugPages
}

func newService(ctx context.Context, name string, number int, l net.Listener, j *journal, o options) (*service, error) {
	s := &service{
		name: name, listener: l, journal: j,
		faults: newFaults(o.seed, uint64(number)),
		mux:    http.NewServeMux(),
	}
	var err error
	if s.signals, err = startSignals(ctx, name, o); err != nil {
		return nil, err
	}
	if s.debug, err = addDebugPages(s, o.traceURL); err != nil {
		return nil, err
	}
	s.server = &http.Server{
		// What a page of another site makes a browser send is turned away.
		Handler: http.NewCrossOriginProtection().Handler(s.mux),
		// An answer may take as long as shoppers wait. The idle timeout is longer than that of the
		// clients: a connection that the server closes while a request is on the way loses it.
		ReadHeaderTimeout: 10 * time.Second, WriteTimeout: max(30*time.Second, shopperWaits(o.patience)), IdleTimeout: 5 * time.Minute,
	}
	return s, nil
}

// handle serves what the service is there for. otelhttp stands outside, where it extracts the
// trace, and inside of it the handler that hears of the retries of the layers above.
func (s *service) handle(pattern string, handle http.HandlerFunc) error {
	h, err := retryhttp.NewHandler(handle)
	if err != nil {
		return err
	}
	s.mux.Handle(pattern, otelhttp.NewHandler(h, pattern, s.signals.http()...))
	return nil
}

// write writes down what comes of a request.
func (s *service) write(r *http.Request, path, order string, comes result) {
	s.journal.add(r.Context(), entry{
		Service: s.name, Path: path, Result: comes, Attempt: previousAttempts(r.Header), Order: order,
	})
}

func (s *service) port() int {
	if tcp, ok := s.listener.Addr().(*net.TCPAddr); ok {
		return tcp.Port
	}
	return 0
}

// url returns the address of the service for a program on this machine.
func (s *service) url() string {
	host, port, err := net.SplitHostPort(s.listener.Addr().String())
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// serve returns when the service was stopped.
func (s *service) serve() error {
	if err := s.server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	return nil
}

// stop lets the requests end that there are, as far as the context allows it.
func (s *service) stop(ctx context.Context) {
	if s.server.Shutdown(ctx) != nil {
		_ = s.server.Close() // the rest is cut off
	}
	s.debug.close()
}
