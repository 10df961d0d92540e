package telemetry

import (
	"cmp"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"

	"go.opentelemetry.io/otel/metric"
)

// A Watcher reads what policies, guards and budgets count, for the debug page. While there
// is one, the latest troubled calls are kept. It is safe for use by several goroutines at
// once.
type Watcher struct {
	provider metric.MeterProvider
	kept     *registry // of the provider, so that its counts outlive its policies
	stop     sync.Once
}

// Watch returns a watcher of everything under one meter provider, or under all of them if
// provider is nil. It is to be closed.
func Watch(provider metric.MeterProvider) *Watcher {
	watchers.Add(1)
	w := &Watcher{provider: provider}
	if provider != nil {
		w.kept = registryOf(provider)
	}
	return w
}

// Close ends the watching.
func (w *Watcher) Close() { w.stop.Do(func() { watchers.Add(-1) }) }

// Tick is to be called at regular intervals: a policy that had no trouble for 30 of them
// no longer reads the clock at the start of calls for the sake of the page.
func (w *Watcher) Tick() {
	for _, r := range registriesOf(w.provider) {
		for _, c := range r.retries.shown() {
			if n := c.recent.timed.Load(); n > 0 {
				c.recent.timed.CompareAndSwap(n, n-1)
			}
		}
	}
}

// registriesOf returns the registry of a provider, or all of them if provider is nil.
func registriesOf(provider metric.MeterProvider) (found []*registry) {
	registries.Lock()
	defer registries.Unlock()
	for _, p := range registries.byProvider {
		if r := p.Value(); r != nil && (provider == nil || same(r.provider, provider)) {
			found = append(found, r)
		}
	}
	return found
}

// same reports whether two providers are one.
func same(a, b metric.MeterProvider) bool {
	return reflect.TypeOf(a) == reflect.TypeOf(b) && reflect.ValueOf(a).Comparable() && a == b
}

// Read returns what has been counted by now.
func (w *Watcher) Read() Live { return ReadLive(w.provider) }

// ReadLive returns what has been counted by now under one meter provider, or under all of
// them if provider is nil.
func ReadLive(provider metric.MeterProvider) Live {
	var l Live
	var policies, budgets merger[string]
	var guards merger[guardName]
	for _, r := range registriesOf(provider) {
		for _, c := range r.retries.shown() {
			i, isNew := policies.index(c.name)
			if isNew {
				l.Policies = append(l.Policies, LivePolicy{Name: c.name})
			}
			l.Policies[i].add(c)
		}
		for _, c := range r.budgets.shown() {
			i, isNew := budgets.index(c.name)
			if isNew {
				l.Budgets = append(l.Budgets, LiveBudget{Name: c.name, Tokens: math.NaN(), Capacity: math.NaN()})
			}
			l.Budgets[i].add(c)
		}
		for kind := range r.guards {
			for _, c := range r.guards[kind].names.shown() {
				if guardKind(kind) == kindComposition {
					l.addWarnings(c)
					continue
				}
				i, isNew := guards.index(guardName{guardKind(kind), c.name})
				if isNew {
					l.Guards = append(l.Guards, newLiveGuard(c))
				}
				l.Guards[i].add(c)
			}
		}
	}
	slices.SortFunc(l.Policies, func(a, b LivePolicy) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(l.Budgets, func(a, b LiveBudget) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(l.Guards, func(a, b LiveGuard) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Kind, b.Kind))
	})
	slices.SortFunc(l.Warnings, func(a, b LiveWarning) int {
		return cmp.Or(strings.Compare(a.Policy, b.Policy), strings.Compare(a.Reason, b.Reason))
	})
	return l
}
