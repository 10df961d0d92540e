package telemetry

import (
	"context"
	"reflect"
	"runtime"
	"sync"
	"time"
	"weak"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
)

// A registry holds the counts and instruments under one meter provider. Counters are
// asynchronous: one callback, registered once and never unregistered, reads the cells
// whenever a reader collects. Cells live as long as the provider, because a counter
// that disappears and comes back is lost or counted twice by delta readers.
type registry struct {
	// provider keeps the provider's address from being used again while the registry
	// stands under it in the table.
	provider metric.MeterProvider

	duration metric.Float64Histogram
	latency  metric.Float64Histogram
	delay    metric.Float64Histogram

	retries names[retryCells]
	budgets names[budgetCells]
	guards  [numKinds]guardInstruments

	ticked struct { // by a watcher
		sync.Mutex
		at time.Time
	}
}

// registries is the table of registries by provider. It holds them weakly, as tests make
// thousands of providers that nobody else would keep: the provider's callback and the
// policies keep a registry. Nothing foreign is called while the table is locked.
var registries = struct {
	sync.Mutex
	byProvider map[any]weak.Pointer[registry]
}{byProvider: make(map[any]weak.Pointer[registry])}

// pointer is the key of a provider that is a pointer: one that does not keep it.
type pointer struct {
	kind    reflect.Type
	address uintptr
}

// registryOf returns the registry of provider.
func registryOf(provider metric.MeterProvider) *registry {
	var key any
	switch v := reflect.ValueOf(provider); {
	case v.Kind() == reflect.Pointer:
		key = pointer{v.Type(), v.Pointer()}
	case v.Comparable():
		key = provider
	default: // readers add up what several registries report under one name
		made := newRegistry(provider)
		key = pointer{v.Type(), reflect.ValueOf(made).Pointer()}
		registries.Lock()
		defer registries.Unlock()
		registries.byProvider[key] = weak.Make(made)
		runtime.AddCleanup(made, forget, key)
		return made
	}
	if r := lookUp(key); r != nil {
		return r
	}
	made := newRegistry(provider)
	registries.Lock()
	defer registries.Unlock()
	if r := registries.byProvider[key].Value(); r != nil {
		return r // somebody else was faster; what we made has nothing to report
	}
	registries.byProvider[key] = weak.Make(made)
	runtime.AddCleanup(made, forget, key)
	return made
}

func lookUp(key any) *registry {
	registries.Lock()
	defer registries.Unlock()
	return registries.byProvider[key].Value()
}

// forget removes the entry of a registry that is gone, unless another took its place.
func forget(key any) {
	registries.Lock()
	defer registries.Unlock()
	if registries.byProvider[key].Value() == nil {
		delete(registries.byProvider, key)
	}
}

// Boundaries of the histograms in seconds: from a fast call on a local network to the
// longest preset delay.
var (
	secondsOfCalls  = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120}
	secondsOfDelays = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120}
)

func newRegistry(provider metric.MeterProvider) *registry {
	r := &registry{provider: provider}
	r.retries.make = newRetryCells
	r.budgets.make = newBudgetCells

	histogram := orElse[metric.Float64Histogram](noop.Float64Histogram{})
	counter := orElse[metric.Int64ObservableCounter](noop.Int64ObservableCounter{})
	gauge := orElse[metric.Float64ObservableGauge](noop.Float64ObservableGauge{})
	meter := provider.Meter(ScopeName, metric.WithInstrumentationVersion(Version))
	r.duration = histogram(meter.Float64Histogram(MetricCallDuration, metric.WithUnit("s"),
		metric.WithDescription("Duration of calls that began, all attempts and waits included."),
		metric.WithExplicitBucketBoundaries(secondsOfCalls...)))
	r.latency = histogram(meter.Float64Histogram(MetricRetryLatency, metric.WithUnit("s"),
		metric.WithDescription("Time that retries added to calls that were retried: from the end of the first attempt to the end of the call."),
		metric.WithExplicitBucketBoundaries(secondsOfCalls...)))
	r.delay = histogram(meter.Float64Histogram(MetricRetryDelay, metric.WithUnit("s"),
		metric.WithDescription("Waits before retries that were sent."),
		metric.WithExplicitBucketBoundaries(secondsOfDelays...)))
	calls := counter(meter.Int64ObservableCounter(MetricRetryCalls, metric.WithUnit("{call}"),
		metric.WithDescription("Calls of retry policies by outcome.")))
	attempts := counter(meter.Int64ObservableCounter(MetricRetryAttempts, metric.WithUnit("{attempt}"),
		metric.WithDescription("Attempts of retry policies, also those that a guard inside of the policy rejected.")))
	tokens := gauge(meter.Float64ObservableGauge(MetricBudgetTokens, metric.WithUnit("{token}"),
		metric.WithDescription("Retries that a budget would grant now.")))
	capacity := gauge(meter.Float64ObservableGauge(MetricBudgetCapacity, metric.WithUnit("{token}"),
		metric.WithDescription("Retries that a full budget grants.")))
	withdrawals := counter(meter.Int64ObservableCounter(MetricBudgetWithdrawals, metric.WithUnit("{withdrawal}"),
		metric.WithDescription("Retries that a budget was asked for by result.")))
	refunds := counter(meter.Int64ObservableCounter(MetricBudgetRefunds, metric.WithUnit("{refund}"),
		metric.WithDescription("Granted retries that were given back, as they were never sent.")))

	observables := append(r.makeGuardInstruments(meter), calls, attempts, tokens, capacity, withdrawals, refunds)
	_, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		for _, c := range r.retries.reported() {
			c.observe(o, calls, attempts)
		}
		for _, c := range r.budgets.reported() {
			c.observe(o, tokens, capacity, withdrawals, refunds)
		}
		for kind := range r.guards {
			r.guards[kind].observe(o)
		}
		return nil
	}, observables...)
	if err != nil {
		otel.Handle(err)
	}
	return r
}

// makeGuardInstruments makes the instruments of all guards, and returns those that are
// observed by the callback.
func (r *registry) makeGuardInstruments(meter metric.Meter) (observables []metric.Observable) {
	for kind := range numKinds {
		observables = append(observables, r.guards[kind].makeInstruments(kind, meter)...)
	}
	return observables
}

// orElse reports an error to OpenTelemetry's error handler and returns the instrument,
// or the other one if there is none.
func orElse[T any](other T) func(instrument T, err error) T {
	return func(instrument T, err error) T {
		if err != nil {
			otel.Handle(err)
		}
		if any(instrument) == nil {
			return other
		}
		return instrument
	}
}
