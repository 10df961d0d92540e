package main

import "errors"

// A check compares what the metrics of a side say with what was counted apart from
// them.
type check struct {
	// Attempts by resilience.retry.attempts, against requests that the handler of the
	// dependency counted. The requests that were never sent make up the difference.
	attempts, requests, unsent int64
	// Calls by resilience.retry.calls, against calls that the workers counted.
	calls, made int64
}

func (c check) ok() bool {
	return c.attempts == c.requests+c.unsent && c.calls == c.made
}

func checkOf(s *side, c *counts) check {
	unsent := s.outbox.unsent.Load()
	s.settle(c.attempts - unsent)
	return check{
		attempts: c.attempts, requests: s.dependency.total(), unsent: unsent,
		calls: c.calls(), made: s.traffic.calls.Load(),
	}
}

// errDisagree is the result of a run whose numbers do not agree.
var errDisagree = errors.New("the metrics do not agree with what was counted apart from them")
