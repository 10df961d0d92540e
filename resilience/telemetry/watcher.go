package telemetry

import (
	"cmp"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/observable-go/toolkit/internal/clock"
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

// TickInterval is how often [Watcher.Tick] is to be called.
const TickInterval = 2 * time.Second

// Tick is to be called every [TickInterval]: a policy that had no trouble for a minute no
// longer reads the clock at the start of calls for the sake of the page.
func (w *Watcher) Tick() {
	now := clock.Now(nil)
	for _, r := range registriesOf(w.provider) {
		if !r.tick(now) {
			continue
		}
		for _, c := range r.retries.shown() {
			if n := c.timed.Load(); n > 0 {
				c.timed.CompareAndSwap(n, n-1)
			}
		}
	}
}

// tick reports whether it is time to go on, as several watchers may call.
func (r *registry) tick(now time.Time) bool {
	r.ticked.Lock()
	defer r.ticked.Unlock()
	if since := now.Sub(r.ticked.at); since >= 0 && since < TickInterval*9/10 {
		return false
	}
	r.ticked.at = now
	return true
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
	l := Live{LastCall: lastCallID.Load()}
	var policies, budgets merger[string]
	var guards merger[guardName]
	var warnings merger[LiveWarning]
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
					l.addWarnings(c, &warnings)
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
