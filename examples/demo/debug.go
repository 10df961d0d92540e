package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/observable-go/toolkit/resilience/inspect"
)

// debugPath is where the debug page of each service is.
const debugPath = "/debug/resilience/"

// debugPages are what a service tells those who run it: a page of what its policies do, and the
// probes of an orchestrator.
type debugPages struct {
	page   *inspect.Inspector
	health *inspect.Health
}

// addDebugPages adds them to a service. A service that is alone in its process needs no more than
//
//	mux.Handle("/debug/resilience/", inspect.Handler())
//
// Here each page shows what belongs to the providers of its service.
func addDebugPages(s *service, traceURL string) (*debugPages, error) {
	options := []inspect.Option{inspect.WithTitle(s.name), inspect.WithMeterProvider(s.signals.meters)}
	if traceURL != "" {
		options = append(options, inspect.WithTraceURL(traceURL))
	}
	page, err := inspect.New(options...)
	if err != nil {
		return nil, fmt.Errorf("debug page of %s: %w", s.name, err)
	}
	// A service is ready although what it calls is down: there is nobody else to answer. That is
	// shown as a warning. Its own outage is what a probe is to find out.
	health, err := inspect.NewHealth(inspect.WithHealthMeterProvider(s.signals.meters),
		inspect.WithCheckAge(0), inspect.WithCheck(s.name, func(context.Context) error {
			if what, _ := s.faults.get(); what == outage {
				return errDown
			}
			return nil
		}))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("health of %s: %w", s.name, err), page.Close())
	}
	s.mux.Handle(debugPath, page)
	s.mux.Handle("GET /livez", health.Live())
	s.mux.Handle("GET /readyz", health.Ready())
	return &debugPages{page, health}, nil
}

var errDown = errors.New("the service is down, as you have set it")

// drain tells balancers that the service is about to stop.
func (d *debugPages) drain() { d.health.Drain() }

func (d *debugPages) close() { _ = d.page.Close() } // which has nothing to write
