package telemetry

import (
	"math"
	"slices"
	"sync/atomic"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
)

// guardCells are the counts of all guards of one kind and name under one meter
// provider. Like those of retry policies they outlive the guards.
type guardCells struct {
	kind   guardKind
	name   string
	also   *guardCells          // where metrics report these, if not by themselves
	calls  [numResults]*counter // nil for a result that is none of the kind
	events []counter
	// levels returns the levels of the newest guard of the name, one for each series of
	// the kind's table, in their order. NaN is none.
	levels atomic.Pointer[level[func() []float64]]

	// trouble is what is wrong now, in a text that may be shown, or nil.
	trouble atomic.Pointer[string]

	callOptions  [numResults][]metric.ObserveOption
	eventOptions [][]metric.ObserveOption
	levelOptions [][]metric.ObserveOption
	times        []metric.RecordOption
}

func newGuardCells(kind guardKind, name string, other *guardCells) *guardCells {
	table := &guardTable[kind]
	c := &guardCells{kind: kind, name: name, also: other, events: make([]counter, len(table.events.values))}
	for _, r := range table.results {
		c.calls[r] = new(counter)
	}
	if other != nil {
		c.times = other.times
		return c
	}
	named := table.nameKey().String(name)
	c.times = recordOption(named)
	for _, r := range table.results {
		c.callOptions[r] = observeOption(named, AttrResult.String(r.String()))
	}
	for _, value := range table.events.values {
		c.eventOptions = append(c.eventOptions, observeOption(named, table.events.by.String(value)))
	}
	for _, l := range table.levels {
		if len(l.values) == 0 {
			c.levelOptions = append(c.levelOptions, observeOption(named))
		}
		for _, value := range l.values {
			c.levelOptions = append(c.levelOptions, observeOption(named, l.by.String(value)))
		}
	}
	return c
}

// guardInstruments are the instruments of one kind.
type guardInstruments struct {
	kind   guardKind
	names  names[guardCells]
	calls  metric.Int64Observable
	events metric.Int64Observable
	levels []func(o metric.Observer, level float64, options []metric.ObserveOption) // one a series
	times  metric.Float64Histogram
}

// makeInstruments makes the instruments of a kind, and returns those that its cells are
// observed by.
func (g *guardInstruments) makeInstruments(kind guardKind, meter metric.Meter) (observables []metric.Observable) {
	table := &guardTable[kind]
	g.kind = kind
	g.names.make = func(name string, other *guardCells) *guardCells { return newGuardCells(kind, name, other) }
	counter := orElse[metric.Int64ObservableCounter](noop.Int64ObservableCounter{})
	if t := table.counter(); t.name != "" {
		calls := counter(meter.Int64ObservableCounter(t.name, metric.WithUnit(t.unit), metric.WithDescription(t.description)))
		g.calls = calls
		observables = append(observables, calls)
	}
	if e := table.events; e.name != "" {
		events := counter(meter.Int64ObservableCounter(e.name, metric.WithUnit(e.unit), metric.WithDescription(e.description)))
		g.events = events
		observables = append(observables, events)
	}
	for _, l := range table.levels {
		observe, observable := l.instrument(meter)
		for range max(len(l.values), 1) {
			g.levels = append(g.levels, observe)
		}
		observables = append(observables, observable)
	}
	if t := table.histogram(); t.name != "" {
		g.times = orElse[metric.Float64Histogram](noop.Float64Histogram{})(meter.Float64Histogram(t.name, metric.WithUnit("s"),
			metric.WithDescription(t.description), metric.WithExplicitBucketBoundaries(secondsOfCalls...)))
	}
	return observables
}

// instrument makes the instrument of a level.
func (l *levelMetric) instrument(meter metric.Meter) (observe func(metric.Observer, float64, []metric.ObserveOption), _ metric.Observable) {
	if l.sums {
		sum := orElse[metric.Int64ObservableUpDownCounter](noop.Int64ObservableUpDownCounter{})(meter.Int64ObservableUpDownCounter(
			l.name, metric.WithUnit(l.unit), metric.WithDescription(l.description)))
		return func(o metric.Observer, level float64, options []metric.ObserveOption) {
			o.ObserveInt64(sum, int64(level), options...)
		}, sum
	}
	gauge := orElse[metric.Float64ObservableGauge](noop.Float64ObservableGauge{})(meter.Float64ObservableGauge(
		l.name, metric.WithUnit(l.unit), metric.WithDescription(l.description)))
	return func(o metric.Observer, level float64, options []metric.ObserveOption) {
		o.ObserveFloat64(gauge, level, options...)
	}, gauge
}

// observe reports the counts and levels of all guards of the kind.
func (g *guardInstruments) observe(o metric.Observer) {
	for _, c := range g.names.reported() {
		for r, count := range c.calls {
			if count != nil {
				o.ObserveInt64(g.calls, count.Value(), c.callOptions[r]...)
			}
		}
		for i := range c.events {
			if n := c.events[i].Value(); n > 0 || g.kind != kindComposition { // a warning that never was is no series
				o.ObserveInt64(g.events, n, c.eventOptions[i]...)
			}
		}
		levels := c.levels.Load()
		if levels == nil {
			continue
		}
		for i, level := range levels.read() {
			if !math.IsNaN(level) && !math.IsInf(level, 0) {
				g.levels[i](o, level, c.levelOptions[i])
			}
		}
	}
}

// count counts a call by its result. What the kind does not know counts nowhere.
func (c *guardCells) count(r Result) {
	if n := c.calls[r]; n != nil {
		n.Add(1)
	}
	if c.also != nil {
		c.also.count(r)
	}
}

// event counts an event by the value of its attribute. What the kind does not know counts
// nowhere.
func (c *guardCells) event(value string) {
	if i := slices.Index(guardTable[c.kind].events.values, value); i >= 0 {
		c.events[i].Add(1)
	}
	if c.also != nil {
		c.also.event(value)
	}
}
