package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/observable-go/toolkit/resilience/telemetry"
)

// quiet is a provider without metrics and with an address of its own.
type quiet struct {
	noop.MeterProvider
	_ byte
}

// newWatched returns a provider whose counts stay until the end of the test.
func newWatched(t *testing.T) *quiet {
	t.Helper()
	provider := new(quiet)
	t.Cleanup(telemetry.Watch(provider).Close)
	return provider
}

func newRetry(t *testing.T, name string, provider metric.MeterProvider) *telemetry.Retry {
	t.Helper()
	r, err := telemetry.NewRetry(name, telemetry.WithMeterProvider(provider))
	require.NoError(t, err)
	return r
}

// fail makes a call in trouble.
func fail(r *telemetry.Retry) {
	_, call := r.Begin(context.Background(), 1)
	f := telemetry.Failure{Number: 1, Err: errors.New("refused"), ErrorType: "refused", Ended: time.Now()}
	call.AttemptFailed(&f)
	call.End(&telemetry.RetryEnd{Outcome: telemetry.OutcomeExhausted, Attempts: 1, Ended: time.Now()}, &f)
}

// A policy in trouble times its calls for a minute, however many pages there are, and not at
// all once there is none.
func TestTimedForAMinute(t *testing.T) { //nolint:paralleltest // others watch too
	synctest.Test(t, func(t *testing.T) {
		provider := new(quiet)
		r := newRetry(t, "a", provider)
		all, own := telemetry.Watch(nil), telemetry.Watch(provider)
		defer all.Close()
		assert.False(t, r.Times(t.Context()))
		fail(r)
		for range 29 {
			assert.True(t, r.Times(t.Context()))
			time.Sleep(time.Second)
			all.Tick()
			time.Sleep(time.Second)
			own.Tick()
		}
		assert.True(t, r.Times(t.Context()))
		time.Sleep(2 * telemetry.TickInterval)
		all.Tick()
		assert.False(t, r.Times(t.Context()))

		fail(r)
		assert.True(t, r.Times(t.Context()))
		own.Close()
		assert.True(t, r.Times(t.Context()))
		all.Close()
		assert.False(t, r.Times(t.Context()), "nobody watches")
	})
}

// Of several under one name the newest counts, whatever its provider.
func TestNewestLevel(t *testing.T) {
	t.Parallel()
	providers := []*quiet{newWatched(t), newWatched(t), newWatched(t)}
	name := fmt.Sprintf("newest %p", providers[0]) // no other run has it
	for n := range 10 {
		opt := telemetry.WithMeterProvider(providers[n%3])
		_, err := telemetry.NewBudget(name, func() (tokens, capacity float64) { return float64(n), 9 }, opt)
		require.NoError(t, err)
		_, err = telemetry.NewBreaker(name, func() telemetry.BreakerLevel {
			return telemetry.BreakerLevel{State: "open", FailureRatio: float64(n)}
		}, opt)
		require.NoError(t, err)
		for range 5 { // the providers are read in any order
			live := telemetry.ReadLive(nil)
			for _, b := range live.Budgets {
				if b.Name == name {
					require.InDelta(t, n, b.Tokens, 0)
				}
			}
			for _, g := range live.Guards {
				if g.Name == name {
					require.InDelta(t, n, g.Levels[0].Value, 0)
				}
			}
		}
	}
}

// What several providers warn of is one warning, under the name of its policy even where
// metrics no longer tell it apart.
func TestWarningsOfPolicies(t *testing.T) {
	t.Parallel()
	providers := []*quiet{newWatched(t), newWatched(t)}
	name := fmt.Sprintf("warned %p", providers[0]) // no other test run has it
	for _, provider := range providers {
		for i := range telemetry.MaxNames {
			newRetry(t, fmt.Sprint("p", i), provider)
		}
		newRetry(t, name, provider).Warn(t.Context(), "nested_retries", "")
	}
	var found []telemetry.LiveWarning
	for _, w := range telemetry.ReadLive(nil).Warnings {
		if w.Policy == name {
			found = append(found, w)
		}
	}
	assert.Equal(t, []telemetry.LiveWarning{{Policy: name, Reason: "nested_retries", N: 2}}, found)
	assert.Len(t, telemetry.ReadLive(providers[0]).Warnings, 1)
}

// Nothing is lost or counted twice, however many names there are, on the page and in metrics.
func TestCountsOfManyNames(t *testing.T) {
	t.Parallel()
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	const names, workers = 2100, 4
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			base := newRetry(t, "base", provider)
			for i := range names {
				r := base.Named(fmt.Sprint("name ", i))
				r.SucceededAtOnce()
				fail(r)
				b, err := telemetry.NewBudget(fmt.Sprint("name ", i), func() (tokens, capacity float64) { return 1, 1 },
					telemetry.WithMeterProvider(provider))
				assert.NoError(t, err)
				b.Granted()
				g, err := telemetry.NewFallback(fmt.Sprint("name ", i), telemetry.WithMeterProvider(provider))
				assert.NoError(t, err)
				g.Count(telemetry.ResultPrimary)
			}
		})
	}
	group.Wait()

	live := telemetry.ReadLive(provider)
	assert.Len(t, live.Policies, 2001, "2000 and what all others share")
	assert.Len(t, live.Budgets, 2001)
	assert.Len(t, live.Guards, 2001)
	var calls, attempts, granted, guarded int64
	for _, p := range live.Policies {
		for _, n := range p.Calls {
			calls += n
		}
		attempts += p.Attempts
	}
	for _, b := range live.Budgets {
		granted += b.Granted
	}
	for _, g := range live.Guards {
		guarded += g.Results[0].N
	}
	assert.EqualValues(t, 2*names*workers, calls)
	assert.EqualValues(t, 2*names*workers, attempts)
	assert.EqualValues(t, names*workers, granted)
	assert.EqualValues(t, names*workers, guarded)

	var all metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &all))
	sums := map[string]int64{}
	for _, m := range all.ScopeMetrics[0].Metrics {
		if sum, ok := m.Data.(metricdata.Sum[int64]); ok {
			for _, point := range sum.DataPoints {
				sums[m.Name] += point.Value
			}
		}
	}
	assert.Equal(t, calls, sums[telemetry.MetricRetryCalls])
	assert.Equal(t, attempts, sums[telemetry.MetricRetryAttempts])
	assert.Equal(t, granted, sums[telemetry.MetricBudgetWithdrawals])
	assert.Equal(t, guarded, sums[telemetry.MetricFallbackCalls])
}
