package bulkhead_test

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/bulkhead"
)

// scripted is an algorithm that keeps what it was given and returns what it is told.
type scripted struct {
	next func(limit float64, s bulkhead.Sample) float64

	mu      sync.Mutex // for the tests alone: a bulkhead never calls Next twice at a time
	samples []bulkhead.Sample
	limits  []float64
}

func (a *scripted) Next(limit float64, s bulkhead.Sample) float64 {
	a.mu.Lock()
	a.samples, a.limits = append(a.samples, s), append(a.limits, limit)
	a.mu.Unlock()
	if a.next == nil {
		return limit
	}
	return a.next(limit, s)
}

// seen returns the samples so far.
func (a *scripted) seen() []bulkhead.Sample {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.samples)
}

// last returns the limit that the last sample came with.
func (a *scripted) last() float64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.limits[len(a.limits)-1]
}

// gaveUpError is the error of a policy that repeats, of which the last failure counts.
type gaveUpError struct{ last error }

func (gaveUpError) Error() string        { return "gave up" }
func (gaveUpError) Refused() bool        { return true }
func (e gaveUpError) LastFailure() error { return e.last }

// notSentError is that of a call whose context ended before it was sent.
type notSentError struct{ error }

func (notSentError) NotSent() bool   { return true }
func (e notSentError) Unwrap() error { return e.error }

func TestSamples(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dropped := []bulkhead.Sample{{Latency: time.Second, Inflight: 2, Dropped: true}}
		for name, tt := range map[string]struct {
			err  error
			want []bulkhead.Sample
		}{
			"success":             {nil, []bulkhead.Sample{{Latency: time.Second, Inflight: 2}}},
			"overload":            {errOverload, dropped},
			"timeout":             {fmt.Errorf("x: %w", context.DeadlineExceeded), dropped},
			"permanent":           {resilience.Permanent(errPlain), nil},
			"unknown":             {errPlain, nil},
			"refused":             {resilience.Refused(errPlain), nil},
			"nested":              {&bulkhead.FullError{}, nil},
			"canceled":            {context.Canceled, nil},
			"not sent":            {notSentError{context.DeadlineExceeded}, nil},
			"gave up":             {gaveUpError{errOverload}, dropped},
			"gave up for good":    {gaveUpError{errPlain}, nil},
			"gave up for another": {gaveUpError{&bulkhead.FullError{}}, nil},
			"gave up unsent":      {gaveUpError{nil}, nil},
		} {
			a := &scripted{}
			b := bulkhead.MustNew("b", 2, bulkhead.WithAdaptiveLimit(a))
			take(t, b, 1)
			calls := 4 // of which the algorithm hears of one, if they are dropped
			if tt.err == nil {
				calls = b.Limit() // a round
			}
			for range calls {
				err := b.Do(t.Context(), func(context.Context) error { time.Sleep(time.Second); return tt.err })
				require.ErrorIs(t, err, tt.err)
			}
			assert.Equal(t, tt.want, a.seen(), name)
			b.Release()
			assert.Len(t, a.seen(), len(tt.want), "what was acquired by hand is no sample")
			requireIdle(t, b)
		}
	})
}

func TestLatencyIsWithoutTheWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &scripted{}
		b := bulkhead.MustNew("b", 1, bulkhead.WithQueue(1), bulkhead.WithAdaptiveLimit(a))
		take(t, b, 1)
		time.AfterFunc(time.Hour, b.Release)
		require.NoError(t, b.Do(t.Context(), func(context.Context) error { time.Sleep(time.Second); return nil }))
		assert.Equal(t, []bulkhead.Sample{{Latency: time.Second, Inflight: 1}}, a.seen())
		requireIdle(t, b)
	})
}

func TestLimitFollowsTheAlgorithm(t *testing.T) {
	t.Parallel()
	var answer float64
	a := &scripted{next: func(float64, bulkhead.Sample) float64 { return answer }}
	b := bulkhead.MustNew("b", 3, bulkhead.WithAdaptiveLimit(a))
	call := func() { pass(t, b, min(b.Limit(), 100)) } // a round
	for _, tt := range []struct {
		answer, kept float64
		limit        int
	}{
		{4.9, 4.9, 4},
		{math.NaN(), 4.9, 4},
		{5, 5, 5},
		{0.3, 1, 1},
		{math.Inf(-1), 1, 1},
		{math.Inf(1), bulkhead.MaxLimit, bulkhead.MaxLimit},
		{-7, 1, 1},
	} {
		answer = tt.answer
		call()
		assert.Equal(t, tt.limit, b.Limit())
		answer = math.NaN()
		call()
		assert.InDelta(t, tt.kept, a.last(), 0, "it goes on from the limit that is not rounded")
	}
	require.NoError(t, b.SetLimit(8))
	call()
	assert.InDelta(t, 8, a.last(), 0, "or from the limit that was set")
	assert.Equal(t, 8, b.Limit())
}

func TestGrowingLimitLetsWaitersIn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &scripted{next: func(limit float64, _ bulkhead.Sample) float64 { return limit + 1 }}
		b := bulkhead.MustNew("b", 1, bulkhead.WithQueue(5), bulkhead.WithAdaptiveLimit(a))
		var ended atomic.Int64
		go func() {
			_ = b.Do(t.Context(), func(context.Context) error { time.Sleep(time.Second); return nil })
		}()
		synctest.Wait()
		for range 5 {
			acquire(t.Context(), b, &ended)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		assert.EqualValues(t, 2, ended.Load(), "for the slot of the call and for the new one")
		assert.Equal(t, 2, b.Inflight())
		assert.Equal(t, 3, b.Queued())
		require.NoError(t, b.SetLimit(5))
		synctest.Wait()
		for range 5 {
			b.Release()
		}
		requireIdle(t, b)
	})
}

// A panic of the algorithm goes on up, and neither the slot nor the algorithm is lost.
func TestPanicOfTheAlgorithm(t *testing.T) {
	t.Parallel()
	a := &scripted{next: func(float64, bulkhead.Sample) float64 { panic("algorithm") }}
	b := bulkhead.MustNew("b", 2, bulkhead.WithAdaptiveLimit(a))
	drop(t, b, 3)
	for range 2 {
		assert.Equal(t, "algorithm", run(func() { _ = b.Do(t.Context(), func(context.Context) error { return errOverload }) }))
		requireIdle(t, b)
	}
}

// While the algorithm is busy, calls leave their samples out rather than wait; but a drop
// is never left out, unless it is an exception.
func TestCallsDoNotWaitForTheAlgorithm(t *testing.T) {
	t.Parallel()
	const drops = 50
	a := &scripted{}
	b := bulkhead.MustNew("b", 2+drops, bulkhead.WithAdaptiveLimit(a))
	do := func(err error) { _ = b.Do(context.Background(), func(context.Context) error { return err }) }
	var group sync.WaitGroup
	a.next = func(limit float64, s bulkhead.Sample) float64 {
		if len(a.seen()) > 1 {
			return limit
		}
		do(nil) // would hang
		for range 3 {
			do(errOverload) // likewise
		}
		for range drops {
			group.Go(func() { do(errOverload) })
		}
		for range 100 * drops { // most of them come to where they have to wait
			runtime.Gosched()
		}
		return limit
	}
	for range b.Limit() { // the last one asks the algorithm
		do(nil)
	}
	group.Wait()
	samples := a.seen()
	assert.Len(t, samples, 1+drops)
	for _, s := range samples[1:] {
		assert.True(t, s.Dropped)
	}
	requireIdle(t, b)
}
