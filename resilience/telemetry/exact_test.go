package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// totals adds up the points of a counter over any number of collections.
type totals map[string]map[attribute.Distinct]int64

// collect reads once. Points of a cumulative reader replace what was there, those of a
// delta reader add to it.
func (all totals) collect(t *testing.T, reader *sdkmetric.ManualReader) {
	t.Helper()
	var rm metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(context.Background(), &rm))
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			points := all[m.Name]
			if points == nil {
				points = map[attribute.Distinct]int64{}
				all[m.Name] = points
			}
			add := func(set attribute.Set, delta bool, n int64) {
				if !delta {
					points[set.Equivalent()] = 0
				}
				points[set.Equivalent()] += n
			}
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					add(p.Attributes, data.Temporality == metricdata.DeltaTemporality, p.Value)
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					add(p.Attributes, data.Temporality == metricdata.DeltaTemporality, int64(p.Count))
				}
			}
		}
	}
}

func (all totals) sum(name string) (n int64) {
	for _, v := range all[name] {
		n += v
	}
	return n
}

func (all totals) of(name string, attrs ...attribute.KeyValue) int64 {
	set := attribute.NewSet(attrs...)
	return all[name][set.Equivalent()]
}

func deltas(sdkmetric.InstrumentKind) metricdata.Temporality { return metricdata.DeltaTemporality }

var errTransient = resilience.Retryable(errors.New("transient"))

// mix makes the i-th call of a mix of every outcome that an operation can bring about.
func mix(policy *retry.Policy, i int) {
	attempts := 0
	defer func() { _ = recover() }()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	switch i % 20 {
	case 8:
		cancel() // not started
	case 9:
		ctx = resilience.NoRetry(ctx)
	}
	_ = policy.Do(ctx, func(context.Context) error {
		attempts++
		switch i % 20 {
		case 0:
			return errTransient // exhausted
		case 1:
			if attempts < 3 {
				return errTransient // success after retry
			}
		case 2:
			return resilience.Permanent(fmt.Errorf("%d", i))
		case 3:
			return errors.New("unclassified")
		case 4:
			return resilience.Refused(errTransient)
		case 5:
			panic("boom")
		case 6:
			cancel()
			return errTransient
		case 7:
			return typed(fmt.Sprint(i % 1000)) // many error types
		case 9:
			return errTransient
		}
		return nil
	})
}

type typed string

func (e typed) Error() string     { return string(e) }
func (e typed) ErrorType() string { return "type_" + string(e) }
func (e typed) Retryable() bool   { return false }

// For any mix of outcomes over a million concurrent calls the calls are the sum of the
// outcomes and the attempts are the calls that began and the retries: in cumulative
// and in delta readers that read all the while, with policies made before and after
// the global provider, and after policies are dropped.
func TestCountersAreExact(t *testing.T) {
	const (
		workers = 64
		total   = 1_000_000
	)
	cumulative := sdkmetric.NewManualReader()
	delta := sdkmetric.NewManualReader(sdkmetric.WithTemporalitySelector(deltas))
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(cumulative), sdkmetric.WithReader(delta))

	newPolicy := func() *retry.Policy {
		return retry.MustNew("exact", retry.WithInitialDelay(0),
			retry.WithTelemetry(telemetry.WithCallDuration(telemetry.DurationsNever)))
	}
	before := newPolicy()
	for i := range 1000 {
		mix(before, i) // counts before there is a provider
	}
	otel.SetMeterProvider(provider)
	after := newPolicy()

	seen := map[*sdkmetric.ManualReader]totals{cumulative: {}, delta: {}}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for reader, all := range seen {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					all.collect(t, reader)
					runtime.GC() // dropped policies must keep their counts
				}
			}
		})
	}

	var workersDone sync.WaitGroup
	for w := range workers {
		workersDone.Go(func() {
			for i := range total / workers {
				policy := after
				switch i % 3 {
				case 0:
					policy = before
				case 1:
					if i%100 == 1 {
						policy = newPolicy() // and dropped
					}
				}
				mix(policy, w+i)
			}
		})
	}
	workersDone.Wait()
	close(stop)
	readers.Wait()

	// What should have come of it, counted by doing the same calls one by one.
	want := map[string]int64{}
	tally := func(i int) {
		want[fmt.Sprint("way ", i%20)]++
		want[telemetry.MetricRetryCalls]++
		attempts := [20]int64{4, 3, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}[i%20]
		want[telemetry.MetricRetryAttempts] += attempts
		want[telemetry.MetricRetryDelay] += max(0, attempts-1)
		if attempts > 1 {
			want[telemetry.MetricRetryLatency]++
		}
		if attempts == 0 {
			want["not started"]++
		}
	}
	for i := range 1000 {
		tally(i)
	}
	for w := range workers {
		for i := range total / workers {
			tally(w + i)
		}
	}
	assert.Equal(t, want[telemetry.MetricRetryAttempts],
		want[telemetry.MetricRetryCalls]-want["not started"]+want[telemetry.MetricRetryDelay])

	// Histograms count only what was recorded while there was a provider.
	early := map[string]int64{telemetry.MetricRetryDelay: 50*3 + 50*2, telemetry.MetricRetryLatency: 100}
	for reader, all := range seen {
		all.collect(t, reader)
		for _, name := range []string{
			telemetry.MetricRetryCalls, telemetry.MetricRetryAttempts, telemetry.MetricRetryDelay, telemetry.MetricRetryLatency,
		} {
			assert.Equal(t, want[name]-early[name], all.sum(name), name)
		}
		policy := telemetry.AttrPolicyName.String("exact")
		assert.Equal(t, want["way 1"], all.of(telemetry.MetricRetryCalls, policy,
			telemetry.AttrOutcome.String("success_after_retry")))
		assert.Equal(t, want["way 5"], all.of(telemetry.MetricRetryCalls, policy,
			telemetry.AttrOutcome.String("panic"), telemetry.AttrErrorType.String("panic")))
		assert.LessOrEqual(t, len(all[telemetry.MetricRetryCalls]), 2+9*(telemetry.MaxErrorTypes+1))
	}
}

// Policies come and go; what they leave behind is bounded.
func TestPoliciesLeaveNothingBehind(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	use := func(name string) {
		p := retry.MustNew(name, retry.WithTelemetry(telemetry.WithMeterProvider(provider)))
		require.NoError(t, p.Do(context.Background(), func(context.Context) error { return nil }))
	}
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	for i := range 2000 {
		use(fmt.Sprint("policy ", i%10))
	}
	before := heap()
	for i := range 20000 {
		use(fmt.Sprint("policy ", i%10))
	}
	assert.Less(t, heap()-before, int64(1<<20), "bytes left by 20000 policies of 10 names")

	all := totals{}
	all.collect(t, reader)
	assert.EqualValues(t, 22000, all.sum(telemetry.MetricRetryCalls))
	runtime.KeepAlive(provider)
}

// Providers that are dropped, with the policies that used them, are freed.
func TestProvidersAreFreed(t *testing.T) {
	freed := make(chan struct{}, 100)
	for range 100 {
		provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
		runtime.AddCleanup(provider, func(struct{}) { freed <- struct{}{} }, struct{}{})
		_ = retry.MustNew("p", retry.WithTelemetry(telemetry.WithMeterProvider(provider)))
	}
	n := 0
	for deadline := time.Now().Add(time.Minute); n < 90; {
		require.True(t, time.Now().Before(deadline), "%d of 100 are freed", n)
		runtime.GC()
		select {
		case <-freed:
			n++
		default:
			runtime.Gosched()
		}
	}
}
