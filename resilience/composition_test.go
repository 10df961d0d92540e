package resilience_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience"
)

// part is a policy that passes and keeps what it is told.
type part struct {
	is   resilience.Description
	told []resilience.Problem
}

func (p *part) Do(ctx context.Context, op resilience.Operation) error { return op(ctx) }
func (p *part) Describe() resilience.Description                      { return p.is }
func (p *part) Warn(_ context.Context, problem resilience.Problem)    { p.told = append(p.told, problem) }
func (p *part) WithName(name string) resilience.Policy                { p.is.Name = name; return p }
func retryPart(name string, attempt, delay time.Duration) resilience.Policy {
	return &part{is: resilience.Description{Kind: "retry", Name: name, Repeats: true, AttemptTimeout: attempt, FirstDelay: delay}}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	limit := func(name string, d time.Duration) resilience.Policy {
		return &part{is: resilience.Description{Kind: "timeout", Name: name, Timeout: d}}
	}
	breaker := &part{is: resilience.Description{Kind: "breaker", Name: "b"}}
	bulkhead := &part{is: resilience.Description{Kind: "bulkhead", Name: "h"}}
	once := &part{is: resilience.Description{Kind: "retry", Name: "once"}}
	foreign := resilience.PolicyFunc(func(ctx context.Context, op resilience.Operation) error { return op(ctx) })
	quick := retryPart("r", 0, 10*time.Millisecond)

	for name, tt := range map[string]struct {
		stages []resilience.Policy
		want   []string // Reason and Detail in one
	}{
		"nothing":            {},
		"recommended":        {stages: []resilience.Policy{limit("total", time.Minute), quick, breaker, bulkhead, limit("attempt", time.Second)}},
		"foreign and nil":    {stages: []resilience.Policy{foreign, nil, quick, foreign}},
		"bulkhead outside":   {stages: []resilience.Policy{bulkhead, quick}},
		"a retry of none":    {stages: []resilience.Policy{breaker, once, quick}, want: []string{`breaker_outside_retry: breaker "b" stands outside of retry "r", which hides failures from it: put it inside`}},
		"breaker outside":    {stages: []resilience.Policy{breaker, foreign, quick}, want: []string{`breaker_outside_retry: breaker "b" stands outside of retry "r", which hides failures from it: put it inside`}},
		"through chains":     {stages: []resilience.Policy{resilience.Chain(foreign, breaker), resilience.Chain(bulkhead, quick)}, want: []string{`breaker_outside_retry: breaker "b" stands outside of retry "r", which hides failures from it: put it inside`}},
		"nested":             {stages: []resilience.Policy{retryPart("outer", 0, 0), foreign, quick}, want: []string{`nested_retries: retry "r" stands inside of retry "outer": their attempts multiply; keep one of them`}},
		"attempt as long":    {stages: []resilience.Policy{limit("total", time.Second), retryPart("r", time.Second, 0)}, want: []string{`timeout_too_short: timeout "total" ends the call after 1s, but retry "r" gives one attempt 1s: no time is left for another`}},
		"attempt shorter":    {stages: []resilience.Policy{limit("total", time.Second), retryPart("r", time.Second-1, 0)}},
		"inner timeout":      {stages: []resilience.Policy{limit("total", time.Second), quick, limit("attempt", 2*time.Second)}, want: []string{`timeout_too_short: timeout "total" ends the call after 1s, but timeout "attempt" gives one attempt 2s: no time is left for another`}},
		"the shorter of two": {stages: []resilience.Policy{limit("total", time.Second), retryPart("r", 3*time.Second, 0), limit("attempt", time.Second/2)}},
		"delay as long":      {stages: []resilience.Policy{limit("total", time.Second), retryPart("r", 0, time.Second)}, want: []string{`timeout_too_short: timeout "total" ends the call after 1s, but retry "r" waits 1s on average before its first retry`}},
		"several": {stages: []resilience.Policy{breaker, limit("total", 1), quick, quick}, want: []string{
			`breaker_outside_retry: breaker "b" stands outside of retry "r", which hides failures from it: put it inside`,
			`timeout_too_short: timeout "total" ends the call after 1ns, but retry "r" waits 10ms on average before its first retry`,
			`breaker_outside_retry: breaker "b" stands outside of retry "r", which hides failures from it: put it inside`,
			`timeout_too_short: timeout "total" ends the call after 1ns, but retry "r" waits 10ms on average before its first retry`,
			`nested_retries: retry "r" stands inside of retry "r": their attempts multiply; keep one of them`,
		}},
	} {
		var got []string
		for _, p := range resilience.Check(tt.stages...) {
			got = append(got, p.Reason+": "+p.Detail)
		}
		assert.Equal(t, tt.want, got, name)
	}
}

// A chain tells of its problems on its first use, once, by its outermost part.
func TestChainWarns(t *testing.T) {
	t.Parallel()
	foreign := resilience.PolicyFunc(func(ctx context.Context, op resilience.Operation) error { return op(ctx) })
	breaker := &part{is: resilience.Description{Kind: "breaker", Name: "b"}}
	inner := retryPart("r", 0, 0)
	chain := resilience.Chain(foreign, breaker, inner)
	named := resilience.Named(chain, "get")
	assert.Empty(t, breaker.told)
	op := func(context.Context) error { return nil }
	require.NoError(t, named.Do(t.Context(), op))
	require.NoError(t, chain.Do(t.Context(), op))
	require.Len(t, breaker.told, 1)
	assert.Equal(t, resilience.BreakerOutsideRetry, breaker.told[0].Reason)
	assert.Empty(t, inner.(*part).told)
}
