package telemetry_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/embedded"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// callOnce makes a call of a new policy of that name under provider.
func callOnce(t *testing.T, name string, provider metric.MeterProvider) {
	t.Helper()
	n := 0
	p := retry.MustNew(name, retry.WithInitialDelay(0), retry.WithTelemetry(telemetry.WithMeterProvider(provider)))
	require.NoError(t, p.Do(t.Context(), func(context.Context) error {
		if n++; n == 1 {
			return errTransient
		}
		return nil
	}))
}

func callsSeen(t *testing.T, reader *sdkmetric.ManualReader) int64 {
	t.Helper()
	all := totals{}
	all.collect(t, reader)
	return all.sum(telemetry.MetricRetryCalls)
}

// A provider may contain another at its very beginning, and so at its address.
type outerProvider struct {
	innerProvider
	provider metric.MeterProvider
}

type innerProvider struct {
	embedded.MeterProvider
	provider metric.MeterProvider
}

func (p *innerProvider) Meter(name string, opts ...metric.MeterOption) metric.Meter {
	return p.provider.Meter(name, opts...)
}

func (p *outerProvider) Meter(name string, opts ...metric.MeterOption) metric.Meter {
	return p.provider.Meter(name, opts...)
}

func TestProvidersAtOneAddress(t *testing.T) {
	t.Parallel()
	a, b := sdkmetric.NewManualReader(), sdkmetric.NewManualReader()
	o := &outerProvider{
		innerProvider{provider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(a))},
		sdkmetric.NewMeterProvider(sdkmetric.WithReader(b)),
	}
	callOnce(t, "inner", &o.innerProvider)
	callOnce(t, "outer", o)
	callOnce(t, "outer", o)
	assert.EqualValues(t, 1, callsSeen(t, a))
	assert.EqualValues(t, 2, callsSeen(t, b))
}

// A provider may be no pointer, and may not even be comparable.
func TestProvidersThatAreValues(t *testing.T) {
	t.Parallel()
	type tagged struct{ metric.MeterProvider }
	type listed struct {
		metric.MeterProvider
		_ []string
	}
	for _, wrap := range []func(p metric.MeterProvider) metric.MeterProvider{
		func(p metric.MeterProvider) metric.MeterProvider { return tagged{p} },
		func(p metric.MeterProvider) metric.MeterProvider { return listed{MeterProvider: p} },
	} {
		reader := sdkmetric.NewManualReader()
		provider := wrap(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
		for range 3 {
			callOnce(t, "p", provider)
		}
		assert.EqualValues(t, 3, callsSeen(t, reader))
	}
	callOnce(t, "p", noop.NewMeterProvider())
	callOnce(t, "p", &noop.MeterProvider{})
}

// brokenProvider fails to make instruments, and returns none beside the error.
type brokenProvider struct{ metric.MeterProvider }

func (p *brokenProvider) Meter(name string, opts ...metric.MeterOption) metric.Meter {
	return &brokenMeter{p.MeterProvider.Meter(name, opts...)}
}

type brokenMeter struct{ metric.Meter }

var errBroken = errors.New("broken")

func (*brokenMeter) Float64Histogram(string, ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	return nil, errBroken
}

func (*brokenMeter) Int64ObservableCounter(string, ...metric.Int64ObservableCounterOption) (metric.Int64ObservableCounter, error) {
	return nil, errBroken
}

// What OpenTelemetry reports is handled while nothing of ours is locked: a handler may
// make a policy of its own. A provider that fails does not make calls fail.
func TestBrokenProvider(t *testing.T) {
	var once sync.Once
	var seen []error
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		seen = append(seen, err)
		once.Do(func() {
			_ = retry.MustNew("error reporter", retry.WithTelemetry(telemetry.WithMeterProvider(noop.NewMeterProvider())))
		})
	}))
	defer otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {}))
	callOnce(t, "p", &brokenProvider{noop.NewMeterProvider()})
	require.NotEmpty(t, seen)
	assert.ErrorIs(t, seen[0], errBroken)
}
