package inspect

import (
	"math"
	"strconv"
	"time"

	"github.com/observable-go/toolkit/resilience/telemetry"
)

// The page shows the last five minutes.
const (
	interval = telemetry.TickInterval
	samples  = 150
)

// A history holds a value for each of the latest intervals and each thing that is charted.
// Counts are those of the interval alone.
type history struct {
	latest   int // the number of the latest sample; 0 is the one that was there at the start
	policies map[string]*policyTrack
	budgets  map[string]*budgetTrack
	guards   map[guardName]*guardTrack

	// Troubled calls up to the id settled are there to be read; up to called they soon are: a
	// call has its id for a moment before it can be read.
	called, settled uint64
}

type guardName struct{ kind, name string }

// A series is a ring of values by the number of the sample.
type series [samples]float32

func (s *series) set(sample int, value float64) { s[sample%samples] = float32(value) }

// A tally is a series of what a count grew by.
type tally struct {
	series
	last float64
}

func (t *tally) set(sample int, count float64) {
	t.series.set(sample, max(0, count-t.last)) // less is left if a provider of several is gone
	t.last = count
}

// A policyTrack is the history of one policy, from its sample first on, as of the others.
type policyTrack struct {
	first                    int
	calls, failed, exhausted tally
	retried, saved           tally
	retries, latency         tally
}

type budgetTrack struct {
	first           int
	tokens          series
	granted, denied tally
}

type guardTrack struct {
	first           int
	calls, rejected tally
	level           series
	states          [samples]string
}

// begin notes what was counted before the history. It is sample 0, which is never shown.
func (h *history) begin(live telemetry.Live) {
	h.policies = make(map[string]*policyTrack)
	h.budgets = make(map[string]*budgetTrack)
	h.guards = make(map[guardName]*guardTrack)
	h.called = live.LastCall
	h.note(live)
}

// add adds a sample.
func (h *history) add(live telemetry.Live) {
	h.latest++
	h.settled, h.called = h.called, live.LastCall
	h.note(live)
}

// note notes a sample. Things that are gone are forgotten, as their meter provider is gone too.
func (h *history) note(live telemetry.Live) {
	h.notePolicies(live.Policies)
	h.noteBudgets(live.Budgets)
	h.noteGuards(live.Guards)
}

func (h *history) notePolicies(live []telemetry.LivePolicy) {
	policies := make(map[string]*policyTrack, len(live))
	for i := range live {
		p := &live[i]
		t := track(h.policies, p.Name, policyTrack{first: max(h.latest, 1)})
		policies[p.Name] = t
		var calls, failed int64
		for outcome, n := range p.Calls {
			calls += n
			switch telemetry.Outcome(outcome) {
			case telemetry.OutcomeSuccess, telemetry.OutcomeSuccessAfterRetry:
			case telemetry.OutcomeCanceled, telemetry.OutcomeNotStarted: // as the caller wanted
			default:
				failed += n
			}
		}
		t.calls.set(h.latest, float64(calls))
		t.failed.set(h.latest, float64(failed))
		t.exhausted.set(h.latest, float64(p.Calls[telemetry.OutcomeExhausted]))
		t.saved.set(h.latest, float64(p.Calls[telemetry.OutcomeSuccessAfterRetry]))
		t.retried.set(h.latest, float64(p.Retried))
		t.retries.set(h.latest, float64(p.Retries))
		t.latency.set(h.latest, p.Latency.Round(time.Millisecond).Seconds())
	}
	h.policies = policies
}

func (h *history) noteBudgets(live []telemetry.LiveBudget) {
	budgets := make(map[string]*budgetTrack, len(live))
	for _, b := range live {
		t := track(h.budgets, b.Name, budgetTrack{first: max(h.latest, 1)})
		budgets[b.Name] = t
		t.tokens.set(h.latest, b.Tokens)
		t.granted.set(h.latest, float64(b.Granted))
		t.denied.set(h.latest, float64(b.Denied))
	}
	h.budgets = budgets
}

func (h *history) noteGuards(live []telemetry.LiveGuard) {
	guards := make(map[guardName]*guardTrack, len(live))
	for i := range live {
		g := &live[i]
		name := guardName{g.Kind, g.Name}
		t := track(h.guards, name, guardTrack{first: max(h.latest, 1)})
		guards[name] = t
		var calls, rejected int64
		for _, r := range g.Results {
			calls += r.N
			if r.Name == telemetry.ResultRejected.String() || r.Name == telemetry.ResultTimedOut.String() {
				rejected += r.N
			}
		}
		t.calls.set(h.latest, float64(calls))
		t.rejected.set(h.latest, float64(rejected))
		t.level.set(h.latest, mainLevel(g))
		t.states[h.latest%samples] = g.State
	}
	h.guards = guards
}

// mainLevel is the level of a guard that tells most.
func mainLevel(g *telemetry.LiveGuard) float64 {
	tells := 0
	if g.Kind == "bulkhead" {
		tells = 1 // the calls in flight, not the limit
	}
	if tells < len(g.Levels) {
		return g.Levels[tells].Value
	}
	return math.NaN()
}

func track[K comparable, T any](tracks map[K]*T, key K, begin T) *T {
	t := tracks[key]
	if t == nil {
		made := begin // so that nothing is allocated for a track that is there
		t = &made
		tracks[key] = t
	}
	return t
}

// A window is what an answer shows of a history: the samples after one, up to another.
type window struct{ after, latest int }

// window returns the window of everything after a sample.
func (h *history) window(after int) window {
	return window{max(after, h.latest-samples, 0), h.latest}
}

// values returns the values of a series in the window, where those before the first sample
// are not known.
func (w window) values(s *series, first int) values {
	v := make(values, 0, w.latest-w.after)
	for n := w.after + 1; n <= w.latest; n++ {
		if n < first {
			v = append(v, float32(math.NaN()))
			continue
		}
		v = append(v, s[n%samples])
	}
	return v
}

func (w window) states(t *guardTrack) []string {
	states := make([]string, 0, w.latest-w.after)
	for n := w.after + 1; n <= w.latest; n++ {
		if n < t.first {
			states = append(states, "")
			continue
		}
		states = append(states, t.states[n%samples])
	}
	return states
}

// values are numbers, or null for what is not known.
type values []float32

// MarshalJSON implements [encoding/json.Marshaler]: JSON has no NaN.
func (v values) MarshalJSON() ([]byte, error) {
	text := make([]byte, 0, 2+4*len(v))
	text = append(text, '[')
	for i, x := range v {
		if i > 0 {
			text = append(text, ',')
		}
		text = number(float64(x)).append(text, 32)
	}
	return append(text, ']'), nil
}

// number is a number, or null for what is not known.
type number float64

// MarshalJSON implements [encoding/json.Marshaler].
func (n number) MarshalJSON() ([]byte, error) { return n.append(nil, 64), nil }

func (n number) append(text []byte, bits int) []byte {
	switch f := float64(n); {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return append(text, "null"...)
	case f == math.Trunc(f) && math.Abs(f) < 1<<53: // most are counts, and this is faster
		return strconv.AppendInt(text, int64(f), 10)
	default:
		return strconv.AppendFloat(text, f, 'g', -1, bits)
	}
}
