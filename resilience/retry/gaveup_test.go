package retry_test

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/observable-go/toolkit/internal/signaltest"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/retry"
)

// A server that watches hears of a policy that gave up, and of nothing else.
func TestGaveUpIsNoted(t *testing.T) {
	t.Parallel()
	down := func(context.Context) error { return syscall.ECONNREFUSED }
	tests := map[string]struct {
		op      resilience.Operation
		opts    []retry.Option
		noRetry bool
		want    bool
	}{
		"exhausted": {op: down, want: true},
		"no budget": {op: down, opts: []retry.Option{retry.WithBudget(brokeBudget{})}, want: true},
		"pushback":  {op: func(context.Context) error { return resilience.RetryAfter(syscall.ECONNREFUSED, 1<<60) }, want: true},

		"success":       {op: func(context.Context) error { return nil }},
		"not retryable": {op: func(context.Context) error { return resilience.Permanent(errors.New("no")) }},
		"unclassified":  {op: func(context.Context) error { return errors.New("no idea") }},
		"refused":       {op: func(context.Context) error { return resilience.Refused(errors.New("open")) }},
		"no retries":    {op: down, opts: []retry.Option{retry.WithMaxRetries(0)}},
		"forbidden":     {op: down, noRetry: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, gaveUp := resilience.WatchGaveUp(t.Context())
			if test.noRetry {
				ctx = resilience.NoRetry(ctx)
			}
			policy := retry.MustNew("gave-up", append([]retry.Option{retry.WithBackoff(backoff.Constant{})}, test.opts...)...)
			_ = policy.Do(ctx, test.op)
			assert.Equal(t, test.want, gaveUp())
		})
	}
}

type brokeBudget struct{}

func (brokeBudget) Deposit()       {}
func (brokeBudget) Withdraw() bool { return false }
func (brokeBudget) Refund()        {}

// Where the layer above repeats, the policy leaves it to that and is quiet about it.
func TestRetriesOfTheLayerAbove(t *testing.T) {
	t.Parallel()
	ctx := resilience.NoRetry(resilience.WithAttempt(t.Context(), resilience.Attempt{Number: 2, Remote: true}))
	signals := signaltest.New()
	policy := retry.MustNew("layer", retry.WithTelemetry(signals.Options()...))
	attempts := 0
	events := signals.Span(ctx, func(ctx context.Context) {
		err := policy.Do(ctx, func(context.Context) error {
			attempts++
			return syscall.ECONNREFUSED
		})
		assert.Equal(t, syscall.ECONNREFUSED, err)
	})
	assert.Equal(t, 1, attempts)
	last := events[len(events)-1]
	assert.Equal(t, "resilience.retry.stopped", last.Name)
	assert.Contains(t, fmt.Sprint(last.Attributes), "remote_retries")
	for _, line := range signals.Lines() {
		assert.Contains(t, line, "DEBUG")
	}
}

// A denial says which budget it is of: there may be several.
func TestDenialNamesTheBudget(t *testing.T) {
	t.Parallel()
	signals := signaltest.New()
	policy := retry.MustNew("get", retry.WithBudget(namedBudget{}), retry.WithTelemetry(signals.Options()...))
	events := signals.Span(t.Context(), func(ctx context.Context) {
		err := policy.Do(ctx, func(context.Context) error { return syscall.ECONNREFUSED })
		assert.ErrorIs(t, err, retry.ErrBudgetExhausted)
		assert.EqualError(t, err, "get: gave up after 1 attempt (the retry budget is exhausted: backends): connection refused")
	})
	assert.Equal(t, "backends", events[len(events)-1].Attributes["resilience.budget.name"])
	lines := signals.Lines()
	assert.Contains(t, lines[len(lines)-1], "resilience.budget.name=backends")
}

type namedBudget struct{ brokeBudget }

func (namedBudget) Name() string { return "backends" }
