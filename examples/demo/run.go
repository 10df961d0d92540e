package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"google.golang.org/grpc"
)

// How long the parts of the shop may take to end.
const (
	lastOrders   = 5 * time.Second // as long as an order takes: two calls of 3 s at the most seldom take that
	lastRequests = 2 * time.Second
	lastExports  = 5 * time.Second
)

// run runs the shop until the context is done, and prints where it is.
func run(ctx context.Context, o options, out io.Writer) (err error) {
	if o.lasts > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.lasts)
		defer cancel()
	}
	otel.SetErrorHandler(&exportErrors{out: os.Stderr})
	s, err := newShop(ctx, o)
	if err != nil {
		return err
	}
	if o.log != "" { // made last, so that a shop that cannot open does not empty the log of another
		file, failed := os.Create(o.log)
		if failed != nil {
			return s.fail(fmt.Errorf("-log: %w", failed))
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		s.journal.out = file
	}
	fmt.Fprintln(out, s.addresses())
	err = errors.Join(s.open(ctx), s.journal.writeError())
	fmt.Fprintln(out, s.summary())
	return err
}

// open serves until the context is done, and then closes the shop: first the shoppers leave, then
// the services end, and last their telemetry is exported.
func (s *shop) open(ctx context.Context) error {
	failed := make(chan error, len(s.controls.services)+1)
	var serving, background sync.WaitGroup
	for _, service := range s.controls.services {
		serving.Go(func() { failed <- service.serve() })
	}
	serving.Go(func() { failed <- servePayments(s.payments) })
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	background.Go(func() { s.history.record(ctx, s) })
	left := make(chan struct{})
	go func() { s.controls.shoppers.shop(ctx); close(left) }()

	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	cancel()
	for _, service := range s.controls.services {
		service.debug.drain()
	}
	s.story.stop()
	select {
	case <-left:
	case <-time.After(lastOrders):
	}
	s.stop()
	serving.Wait()
	background.Wait()
	s.story.background.Wait()
	return errors.Join(err, s.shutdown())
}

func servePayments(p *paymentsServer) error {
	if err := p.server.Serve(p.listener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	return nil
}

// stop stops all servers: first the one that calls the others, then what it calls them by, and
// then these.
func (s *shop) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), lastRequests)
	defer cancel()
	services := s.controls.services // none, if not even the first could be made
	for _, storefront := range services[:min(1, len(services))] {
		storefront.stop(ctx)
	}
	for _, c := range s.closers {
		c()
	}
	var all sync.WaitGroup
	for _, service := range services[min(1, len(services)):] {
		all.Go(func() { service.stop(ctx) })
	}
	if s.payments != nil {
		s.payments.server.Stop()
	}
	all.Wait()
}

// shutdown exports what telemetry there is left. That it could not is no failure of the shop, and
// told by exportErrors.
func (s *shop) shutdown() error {
	ctx, cancel := context.WithTimeout(context.Background(), lastExports)
	defer cancel()
	var all sync.WaitGroup
	for _, service := range s.controls.services {
		all.Go(func() {
			if err := service.signals.shutdown(ctx); err != nil {
				otel.Handle(err)
			}
		})
	}
	all.Wait()
	return nil
}

// addresses returns the line that says where everything is.
func (s *shop) addresses() string {
	var line strings.Builder
	fmt.Fprintf(&line, "Shop: %s/  Debug pages:", s.controls.services[0].url())
	for _, service := range s.controls.services {
		fmt.Fprintf(&line, " %s %s%s", service.name, service.url(), debugPath)
	}
	return line.String()
}

// summary returns the line that says what was.
func (s *shop) summary() string {
	_, orders := s.controls.shoppers.look()
	return fmt.Sprintf("Closed after %d orders, of which %d succeeded. inventory got %d requests, payments %d.",
		orders.Placed, orders.Succeeded, s.journal.total(nameInventory).Requests, s.journal.total(namePayments).Requests)
}
