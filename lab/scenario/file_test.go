package scenario_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/lab/scenario"
)

const outage = `
name: outage
title: A callee that is down for ten seconds
duration: 60s
warmup: 5s
seeds: 3
callers:
  clients: 10
  open: {rate: 280}
callee:
  servers: 3
  service: {mean: 10ms}
faults:
  - {from: 20s, to: 30s, capacity: 0}
policies:
  - name: three retries
    retry: {max_retries: 3, initial_delay: 100ms, attempt_timeout: 1s}
  - name: with a budget
    retry: {max_retries: 3, initial_delay: 100ms, attempt_timeout: 1s, jitter: equal}
    budget: {ratio: 0.1, shared: true}
    breaker: {open_time: 2s}
expect: {max_amplification: 1.5, max_recovery: 20s}
`

func TestCompare(t *testing.T) {
	t.Parallel()
	s, err := scenario.Parse([]byte(outage))
	require.NoError(t, err)
	first, err := s.Compare(context.Background(), nil)
	require.NoError(t, err)
	again, err := s.Compare(context.Background(), nil)
	require.NoError(t, err)
	a, err := json.Marshal(first)
	require.NoError(t, err)
	b, err := json.Marshal(again)
	require.NoError(t, err)
	assert.JSONEq(t, string(a), string(b))
	t.Log(first.Policies[0].Figures, first.Policies[1].Figures, first.Broken)
	t.Log(first.Policies[1].GoCode)
}
