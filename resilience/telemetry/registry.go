package telemetry

import (
	"context"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"weak"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
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
}

// registries is the table of registries by the address of their provider. It holds
// them weakly: the provider's callback and the policies keep them.
var registries = struct {
	sync.Mutex
	byProvider map[uintptr]weak.Pointer[registry]
}{byProvider: make(map[uintptr]weak.Pointer[registry])}

// registryOf returns the registry of provider. Providers that are no pointers cannot
// be told apart; each policy has a registry of its own under them, and readers add
// up what they report under the same name.
func registryOf(provider metric.MeterProvider) *registry {
	v := reflect.ValueOf(provider)
	if v.Kind() != reflect.Pointer || v.Pointer() == 0 || v.Type().Elem().Size() == 0 {
		return newRegistry(provider)
	}
	address := v.Pointer()
	registries.Lock()
	defer registries.Unlock()
	if r := registries.byProvider[address].Value(); r != nil {
		return r
	}
	r := newRegistry(provider)
	registries.byProvider[address] = weak.Make(r)
	runtime.AddCleanup(r, func(address uintptr) {
		registries.Lock()
		defer registries.Unlock()
		if registries.byProvider[address].Value() == nil {
			delete(registries.byProvider, address)
		}
	}, address)
	return r
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

	meter := provider.Meter(ScopeName, metric.WithInstrumentationVersion(Version))
	r.duration = must(meter.Float64Histogram(MetricCallDuration, metric.WithUnit("s"),
		metric.WithDescription("Duration of calls, all attempts and waits included."),
		metric.WithExplicitBucketBoundaries(secondsOfCalls...)))
	r.latency = must(meter.Float64Histogram(MetricRetryLatency, metric.WithUnit("s"),
		metric.WithDescription("Time that retries added to calls that were retried: from the end of the first attempt to the end of the call."),
		metric.WithExplicitBucketBoundaries(secondsOfCalls...)))
	r.delay = must(meter.Float64Histogram(MetricRetryDelay, metric.WithUnit("s"),
		metric.WithDescription("Waits before retries that were sent."),
		metric.WithExplicitBucketBoundaries(secondsOfDelays...)))
	calls := must(meter.Int64ObservableCounter(MetricRetryCalls, metric.WithUnit("{call}"),
		metric.WithDescription("Calls of retry policies by outcome.")))
	attempts := must(meter.Int64ObservableCounter(MetricRetryAttempts, metric.WithUnit("{attempt}"),
		metric.WithDescription("Attempts that reached the operation.")))
	tokens := must(meter.Float64ObservableGauge(MetricBudgetTokens, metric.WithUnit("{token}"),
		metric.WithDescription("Retries that a budget would grant now.")))
	capacity := must(meter.Float64ObservableGauge(MetricBudgetCapacity, metric.WithUnit("{token}"),
		metric.WithDescription("Retries that a full budget grants.")))
	withdrawals := must(meter.Int64ObservableCounter(MetricBudgetWithdrawals, metric.WithUnit("{withdrawal}"),
		metric.WithDescription("Retries that a budget was asked for by result.")))
	refunds := must(meter.Int64ObservableCounter(MetricBudgetRefunds, metric.WithUnit("{refund}"),
		metric.WithDescription("Granted retries that were given back, as they were never sent.")))

	_ = must(meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		for _, c := range r.retries.all() {
			c.observe(o, calls, attempts)
		}
		for _, c := range r.budgets.all() {
			c.observe(o, tokens, capacity, withdrawals, refunds)
		}
		return nil
	}, calls, attempts, tokens, capacity, withdrawals, refunds))
	return r
}

// must reports an error to OpenTelemetry's error handler. Instruments work all the
// same: they come beside the error, and do nothing at worst.
func must[T any](instrument T, err error) T {
	if err != nil {
		otel.Handle(err)
	}
	return instrument
}

// names holds cells by name, MaxNames of them at most. What is beyond shares the
// cells of Other.
type names[C any] struct {
	make    func(name string) *C
	mu      sync.Mutex
	byName  map[string]*C
	ordered atomic.Pointer[[]*C] // as they appeared
}

func (n *names[C]) get(name string) (cells *C, own bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if c := n.byName[name]; c != nil {
		return c, true
	}
	if len(n.byName) >= MaxNames && name != Other {
		name = Other
		if c := n.byName[name]; c != nil {
			return c, false
		}
	}
	if n.byName == nil {
		n.byName = make(map[string]*C)
	}
	c := n.make(name)
	n.byName[name] = c
	ordered := append(slices.Clone(n.all()), c) // readers go on with the slice that they have
	n.ordered.Store(&ordered)
	return c, name != Other
}

func (n *names[C]) all() []*C {
	if ordered := n.ordered.Load(); ordered != nil {
		return *ordered
	}
	return nil
}
