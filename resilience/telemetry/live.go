package telemetry

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"
)

// Live is what everything that is watched has counted since the process started, each list
// ordered by name. Under several meter providers, things of one name are added up.
type Live struct {
	Policies []LivePolicy
	Budgets  []LiveBudget
	Guards   []LiveGuard
	Warnings []LiveWarning
	// LastCall is the id of the latest troubled call before the reading began.
	LastCall uint64
}

// LivePolicy is what the retry policies of one name have counted.
type LivePolicy struct {
	Name string
	// Calls are those that ended, by [Outcome].
	Calls [numOutcomes]int64
	// Attempts have ended. Retries are the attempts beyond the first that were sent.
	Attempts, Retries int64
	// Retried calls have ended; Latency is the time that retries added to them.
	Retried int64
	Latency time.Duration

	cells []*retryCells
}

// LiveBudget is what the budgets of one name have counted, and what the newest holds.
type LiveBudget struct {
	Name                      string
	Granted, Denied, Refunded int64
	// Tokens and Capacity are NaN if there is no such budget.
	Tokens, Capacity float64

	newest uint64 // the number of the level
}

// LiveGuard is what the guards of one kind and name have counted, and the levels of the
// newest.
type LiveGuard struct {
	Kind, Name      string
	Results, Events []LiveCount
	// Levels are those of the kind. One that has no value now is NaN.
	Levels []LiveLevel
	// State is that of a breaker, or the mode of a shared budget, otherwise "".
	State string
	// Trouble is why a shared budget does not reach its store, otherwise "".
	Trouble string

	newest uint64 // the number of the levels
}

// LiveCount is a count by what is counted.
type LiveCount struct {
	Name string
	N    int64
}

// LiveLevel is a level by its name.
type LiveLevel struct {
	Name  string
	Value float64
}

// LiveWarning is a composition that is known to be wrong.
type LiveWarning struct {
	Policy, Reason string
	N              int64
}

// merger numbers what has one name.
type merger[K comparable] map[K]int

func (m *merger[K]) index(key K) (i int, isNew bool) {
	if i, ok := (*m)[key]; ok {
		return i, false
	}
	if *m == nil {
		*m = make(map[K]int)
	}
	(*m)[key] = len(*m)
	return len(*m) - 1, true
}

type guardName struct {
	kind guardKind
	name string
}

func (p *LivePolicy) add(c *retryCells) {
	p.cells = append(p.cells, c)
	atOnce, afterRetry := c.atOnce.Value(), c.afterRetry.Value()
	p.Calls[OutcomeSuccess] += atOnce
	p.Calls[OutcomeSuccessAfterRetry] += afterRetry
	p.Attempts += atOnce + afterRetry
	p.Retried += c.retried.Value()
	p.Retries += c.retries.Value()
	p.Latency += time.Duration(c.latency.Value())
	for _, f := range c.failures.all() {
		if f.key.attempt {
			p.Attempts += f.Value()
		} else if o := slices.Index(outcomeNames[:], f.key.outcome); o >= 0 {
			p.Calls[o] += f.Value()
		}
	}
}

// Errors returns how many attempts failed, by the type of error.
func (p *LivePolicy) Errors() map[string]int64 {
	errors := make(map[string]int64)
	for _, c := range p.cells {
		for _, f := range c.failures.all() {
			if f.key.attempt {
				errors[f.key.errorType] += f.Value()
			}
		}
	}
	return errors
}

// Troubled returns the latest calls that failed or were retried, the newest first, and how
// many were not kept.
func (p *LivePolicy) Troubled() (calls []*TroubledCall, dropped int64) {
	for _, c := range p.cells {
		calls = append(calls, c.recent.all()...)
		dropped += c.recent.dropped.Value()
	}
	slices.SortFunc(calls, func(a, b *TroubledCall) int { return cmp.Compare(b.ID, a.ID) })
	return calls, dropped
}

func (b *LiveBudget) add(c *budgetCells) {
	b.Granted += c.granted.Value()
	b.Denied += c.denied.Value()
	b.Refunded += c.refunded.Value()
	if level := c.level.Load(); level.newerThan(&b.newest) {
		b.Tokens, b.Capacity = level.read()
	}
}

func newLiveGuard(c *guardCells) LiveGuard {
	table := &guardTable[c.kind]
	g := LiveGuard{Kind: table.name, Name: c.name}
	for _, r := range table.results {
		g.Results = append(g.Results, LiveCount{Name: r.String()})
	}
	for _, value := range table.events.values {
		g.Events = append(g.Events, LiveCount{Name: value})
	}
	for _, l := range table.levels {
		if len(l.values) == 0 {
			name := strings.TrimPrefix(l.name, "resilience."+table.name+".")
			g.Levels = append(g.Levels, LiveLevel{name, math.NaN()})
		}
	}
	return g
}

func (g *LiveGuard) add(c *guardCells) {
	table := &guardTable[c.kind]
	for i, r := range table.results {
		g.Results[i].N += c.calls[r].Value()
	}
	for i := range c.events {
		g.Events[i].N += c.events[i].Value()
	}
	levels := c.levels.Load()
	if !levels.newerThan(&g.newest) {
		return
	}
	if trouble := c.trouble.Load(); trouble != nil {
		g.Trouble = *trouble
	}
	values, single := levels.read(), 0
	for _, l := range table.levels {
		if len(l.values) == 0 {
			g.Levels[single].Value, values = values[0], values[1:]
			single++
			continue
		}
		for i, state := range l.values {
			if values[i] == 1 {
				g.State = state
			}
		}
		values = values[len(l.values):]
	}
}

func (l *Live) addWarnings(c *guardCells, known *merger[LiveWarning]) {
	for i, reason := range guardTable[c.kind].events.values {
		n := c.events[i].Value()
		if n == 0 {
			continue
		}
		warning := LiveWarning{Policy: c.name, Reason: reason}
		at, isNew := known.index(warning)
		if isNew {
			l.Warnings = append(l.Warnings, warning)
		}
		l.Warnings[at].N += n
	}
}
