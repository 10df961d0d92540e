package main

import (
	"errors"
	"time"

	"github.com/observable-go/toolkit/resilience/retry"
)

// A side is one half of the comparison: a dependency, and a client that it is alone
// with.
type side struct {
	title      string // in the report
	policy     string // name of the client's retry policy
	dependency *dependency
	traffic    *traffic
	outbox     *outbox
}

// Names in telemetry.
const (
	policyWithBudget    = "similarity_search"
	policyWithoutBudget = "similarity_search.no_budget"
	budgetName          = "search"
)

// startSides starts two sides that differ in nothing but the budget.
func startSides(t timeline) ([]*side, error) {
	retries, err := newSearchBudget(budgetName)
	if err != nil {
		return nil, err
	}
	with := &side{title: "with budget", policy: policyWithBudget}
	without := &side{title: "no budget", policy: policyWithoutBudget}
	if err := with.start(t, retry.WithBudget(retries)); err != nil {
		return nil, err
	}
	if err := without.start(t); err != nil {
		return nil, errors.Join(err, with.close())
	}
	return []*side{with, without}, nil
}

func (s *side) start(t timeline, opts ...retry.Option) (err error) {
	s.dependency, err = startDependency(t)
	if err != nil {
		return err
	}
	s.outbox = newOutbox(t.workers)
	client, err := newSearchClient(s.policy, s.dependency.url, s.outbox, opts...)
	if err != nil {
		return errors.Join(err, s.dependency.close())
	}
	s.traffic = newTraffic(client)
	return nil
}

// close ends what start began. There must be no traffic any more.
func (s *side) close() error {
	s.outbox.transport.CloseIdleConnections()
	return s.dependency.close()
}

// settle waits until the dependency has seen the given number of requests, for two
// seconds at most: those of attempts that were cut off may still be on their way.
func (s *side) settle(requests int64) {
	for end := time.Now().Add(2 * time.Second); s.dependency.total() < requests && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}
