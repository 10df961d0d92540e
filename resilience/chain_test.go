package resilience_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience"
)

// traced notes when a call goes in and out of it.
func traced(log *[]string, name string) resilience.Policy {
	return resilience.PolicyFunc(func(ctx context.Context, op resilience.Operation) error {
		*log = append(*log, name+"(")
		defer func() { *log = append(*log, ")"+name) }()
		return op(ctx)
	})
}

// repeat calls the operation n times.
func repeat(n int) resilience.Policy {
	return resilience.PolicyFunc(func(ctx context.Context, op resilience.Operation) (err error) {
		for range n {
			err = op(ctx)
		}
		return err
	})
}

func TestChainOrder(t *testing.T) {
	t.Parallel()
	var log []string
	op := func(context.Context) error { log = append(log, "op"); return errPlain }
	a, b, c := traced(&log, "a"), traced(&log, "b"), traced(&log, "c")
	for name, tt := range map[string]struct {
		policy resilience.Policy
		want   string
	}{
		"none":             {resilience.Chain(), "op"},
		"only nil":         {resilience.Chain(nil, nil), "op"},
		"one":              {resilience.Chain(nil, a), "a( op )a"},
		"outermost first":  {resilience.Chain(a, b, c), "a( b( c( op )c )b )a"},
		"nils skipped":     {resilience.Chain(nil, a, nil, b), "a( b( op )b )a"},
		"flattened":        {resilience.Chain(a, resilience.Chain(b, nil, c)), "a( b( c( op )c )b )a"},
		"empty inside":     {resilience.Chain(a, resilience.Chain(), b), "a( b( op )b )a"},
		"repeats":          {resilience.Chain(a, repeat(2), b), "a( b( op )b b( op )b )a"},
		"repeats repeated": {resilience.Chain(repeat(2), a, repeat(2)), "a( op op )a a( op op )a"},
		"nil func":         {resilience.Chain(resilience.PolicyFunc(nil), a), "a( op )a"},
	} {
		log = nil
		err := tt.policy.Do(t.Context(), op)
		assert.Equal(t, tt.want, strings.Join(log, " "), name)
		assert.Equal(t, errPlain, err, name)
	}
}

// A stage may recover a panic of what is inside it and call again.
func TestChainAfterPanic(t *testing.T) {
	t.Parallel()
	var log []string
	again := resilience.PolicyFunc(func(ctx context.Context, op resilience.Operation) error {
		for range 2 {
			func() {
				defer func() { _ = recover() }()
				_ = op(ctx)
			}()
		}
		return nil
	})
	p := resilience.Chain(traced(&log, "a"), again, traced(&log, "b"), traced(&log, "c"))
	require.NoError(t, p.Do(t.Context(), func(context.Context) error { log = append(log, "op"); panic("x") }))
	assert.Equal(t, "a( b( c( op )c )b b( c( op )c )b )a", strings.Join(log, " "))
}

// A stage that leaves its operation behind would make later calls skip stages. The
// call ends instead, and says why.
func TestChainWithAStageThatAbandons(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	abandon := resilience.PolicyFunc(func(ctx context.Context, op resilience.Operation) error {
		go func() { _ = op(ctx) }()
		return errPlain
	})
	started := make(chan struct{})
	var inner atomic.Int64
	limiter := resilience.PolicyFunc(func(ctx context.Context, op resilience.Operation) error {
		inner.Add(1)
		return op(ctx)
	})
	waits := resilience.PolicyFunc(func(ctx context.Context, op resilience.Operation) error {
		return abandon.Do(ctx, func(ctx context.Context) error { close(started); return op(ctx) })
	})
	after := resilience.PolicyFunc(func(ctx context.Context, op resilience.Operation) error {
		err := waits.Do(ctx, op)
		<-started
		for inner.Load() == 0 {
			runtime.Gosched()
		}
		return err
	})
	calls := 0
	again := resilience.PolicyFunc(func(ctx context.Context, op resilience.Operation) (err error) {
		for range 3 {
			calls++
			if err = op(ctx); resilience.Classify(err) == resilience.ClassRefused {
				return err
			}
		}
		return err
	})
	err := resilience.Chain(again, after, limiter).Do(t.Context(), func(context.Context) error { <-hang; return nil })
	close(hang)
	assert.Equal(t, 1, calls)
	require.ErrorIs(t, err, errPlain)
	require.ErrorContains(t, err, "still running")
}

// What an abandoned stage calls after the call is over begins nothing.
func TestChainCalledLate(t *testing.T) {
	t.Parallel()
	var late resilience.Operation
	keep := resilience.PolicyFunc(func(_ context.Context, op resilience.Operation) error { late = op; return nil })
	var log []string
	require.NoError(t, resilience.Chain(keep, traced(&log, "a")).Do(t.Context(), func(context.Context) error { return nil }))
	require.ErrorContains(t, late(t.Context()), "still running")
	assert.Empty(t, log)
}

func TestChainOfNoOperation(t *testing.T) {
	t.Parallel()
	for _, p := range []resilience.Policy{resilience.Chain(), resilience.Chain(repeat(1)), resilience.Chain(repeat(1), repeat(1))} {
		require.ErrorContains(t, p.Do(t.Context(), nil), "operation is nil")
	}
}

func TestChainIsShared(t *testing.T) {
	t.Parallel()
	p := resilience.Chain(repeat(2), repeat(3), repeat(5))
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 100 {
				calls := 0
				_ = p.Do(t.Context(), func(context.Context) error { calls++; return nil })
				assert.Equal(t, 30, calls)
			}
		})
	}
	group.Wait()
}

func TestChainAllocationsDoNotGrow(t *testing.T) {
	pass := resilience.PolicyFunc(func(ctx context.Context, op resilience.Operation) error { return op(ctx) })
	for _, n := range []int{2, 5, 50} {
		stages := make([]resilience.Policy, n)
		for i := range stages {
			stages[i] = pass
		}
		p := resilience.Chain(stages...)
		allocs := testing.AllocsPerRun(100, func() {
			_, _ = resilience.DoValue(context.Background(), p, func(context.Context) (int, error) { return 1, nil })
		})
		assert.LessOrEqual(t, allocs, 5.0, "chain of %d", n)
	}
}

type namer struct {
	resilience.Policy
	name string
}

func (n namer) WithName(operation string) resilience.Policy {
	return namer{n.Policy, n.name + "/" + operation}
}

func (n namer) Do(ctx context.Context, op resilience.Operation) error {
	if err := n.Policy.Do(ctx, op); err != nil {
		return fmt.Errorf("%s: %w", n.name, err)
	}
	return nil
}

func TestNamed(t *testing.T) {
	t.Parallel()
	a, b := namer{repeat(1), "a"}, namer{repeat(1), "b"}
	fail := func(context.Context) error { return errPlain }

	assert.EqualError(t, resilience.Named(a, "get").Do(t.Context(), fail), "a/get: plain")
	chain := resilience.Chain(a, repeat(1), b)
	assert.EqualError(t, resilience.Named(chain, "get").Do(t.Context(), fail), "a/get: b/get: plain")
	assert.EqualError(t, chain.Do(t.Context(), fail), "a: b: plain", "the original keeps its name")
	assert.Nil(t, resilience.Named(nil, "get"))
	assert.NotNil(t, resilience.Named(repeat(1), "get"))
}

func TestDoValue(t *testing.T) {
	t.Parallel()
	calls := 0
	value, err := resilience.DoValue(t.Context(), repeat(3), func(context.Context) (int, error) {
		calls++
		return calls, errPlain
	})
	assert.Equal(t, 3, value, "the last value comes beside the error")
	assert.Equal(t, errPlain, err)

	_, err = resilience.DoValue[int](t.Context(), nil, nil)
	require.ErrorContains(t, err, "operation is nil")
	value, err = resilience.DoValue(t.Context(), nil, func(context.Context) (int, error) { return 7, nil })
	assert.Equal(t, 7, value)
	require.NoError(t, err)
}

func TestWrap(t *testing.T) {
	t.Parallel()
	calls := 0
	wrapped := resilience.Wrap(repeat(2), func(context.Context) (int, error) { calls++; return calls, nil })
	value, err := wrapped(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 2, value)

	double := resilience.Wrap1(repeat(2), func(_ context.Context, n int) (string, error) {
		return strings.Repeat("x", 2*n), nil
	})
	text, err := double(t.Context(), 3)
	require.NoError(t, err)
	assert.Equal(t, "xxxxxx", text)
}

func TestFuture(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	f := resilience.Go(t.Context(), repeat(2), func(context.Context) (int, error) {
		<-release
		return 5, errPlain
	})
	gone, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("gone")
	cancel(cause)
	value, err := f.Await(gone)
	assert.Zero(t, value)
	require.ErrorIs(t, err, cause, "Await ends with its own context")

	close(release)
	for range 2 {
		value, err = f.Await(t.Context())
		assert.Equal(t, 5, value)
		assert.Equal(t, errPlain, err)
	}
	<-f.Done()
	value, err = f.Await(gone)
	assert.Equal(t, 5, value, "a result that is there is not lost to a context that is done")
	assert.Equal(t, errPlain, err)
}

func TestFutureOfAnOperationThatLeaves(t *testing.T) {
	t.Parallel()
	f := resilience.Go(t.Context(), nil, func(context.Context) (int, error) {
		leave() // as t.FailNow does
		return 1, nil
	})
	value, err := f.Await(t.Context())
	assert.Zero(t, value)
	require.ErrorContains(t, err, "Goexit")
}
