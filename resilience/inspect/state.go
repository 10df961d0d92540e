package inspect

import (
	"math"
	"time"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// The types of this file are the document state.json.

type state struct {
	Title    string         `json:"title"`
	Instance string         `json:"instance"`
	Now      time.Time      `json:"now"`
	Since    time.Time      `json:"since"`
	Interval float64        `json:"interval_seconds"`
	Cursor   string         `json:"cursor"`
	Full     bool           `json:"full"`
	TraceURL string         `json:"trace_url"`
	Policies []policyState  `json:"policies"`
	Budgets  []budgetState  `json:"budgets"`
	Guards   []guardState   `json:"guards"`
	Warnings []warningState `json:"warnings"`
}

type policyState struct {
	Name     string           `json:"name"`
	Calls    map[string]int64 `json:"calls"`
	Attempts int64            `json:"attempts"`
	Retries  int64            `json:"retries"`
	Retried  int64            `json:"retried"`
	Latency  float64          `json:"retry_latency_seconds"`
	Errors   map[string]int64 `json:"errors"`
	History  policyHistory    `json:"history"`
	Troubled []troubledCall   `json:"troubled"`
	Dropped  int64            `json:"dropped"`
}

type policyHistory struct {
	Calls     values `json:"calls"`
	Failed    values `json:"failed"`
	Exhausted values `json:"exhausted"`
	Retried   values `json:"retried"`
	Saved     values `json:"saved"`
	Retries   values `json:"retries"`
	Latency   values `json:"retry_latency_seconds"`
}

type budgetState struct {
	Name     string        `json:"name"`
	Tokens   number        `json:"tokens"`
	Capacity number        `json:"capacity"`
	Granted  int64         `json:"granted"`
	Denied   int64         `json:"denied"`
	Refunded int64         `json:"refunded"`
	Shared   *sharedState  `json:"shared,omitempty"`
	History  budgetHistory `json:"history"`
}

// sharedState is what a budget that replicas share has beside its own figures: those are of
// the tokens that this process holds.
type sharedState struct {
	Mode      string           `json:"mode"`
	Tokens    number           `json:"tokens"`
	Capacity  number           `json:"capacity"`
	Exchanges map[string]int64 `json:"exchanges"`
	Changes   map[string]int64 `json:"changes"`
	// Error is that of the latest exchange, if it failed.
	Error string `json:"error"`
}

type budgetHistory struct {
	Tokens  values `json:"tokens"`
	Granted values `json:"granted"`
	Denied  values `json:"denied"`
	// Of a budget that replicas share only.
	Shared values   `json:"shared_tokens,omitempty"`
	Mode   []string `json:"mode,omitempty"`
}

type guardState struct {
	Kind    string            `json:"kind"`
	Name    string            `json:"name"`
	State   string            `json:"state,omitempty"`
	Results map[string]int64  `json:"results"`
	Events  map[string]int64  `json:"events"`
	Levels  map[string]number `json:"levels"`
	History guardHistory      `json:"history"`
}

type guardHistory struct {
	Calls    values   `json:"calls"`
	Rejected values   `json:"rejected"`
	Level    values   `json:"level"`
	State    []string `json:"state,omitempty"`
}

type warningState struct {
	Policy string `json:"policy"`
	Reason string `json:"reason"`
	Count  int64  `json:"count"`
}

type troubledCall struct {
	ID       uint64            `json:"id"`
	Outcome  string            `json:"outcome"`
	Reason   string            `json:"reason"`
	Budget   string            `json:"budget"`
	Nested   bool              `json:"nested"`
	Began    time.Time         `json:"began"`
	Duration float64           `json:"duration_seconds"`
	Attempts int               `json:"attempts"`
	Max      int               `json:"max"`
	TraceID  string            `json:"trace_id"`
	SpanID   string            `json:"span_id"`
	Timeline []troubledAttempt `json:"timeline"`
}

type troubledAttempt struct {
	Attempt   int      `json:"attempt"`
	Start     *float64 `json:"start_seconds"`
	End       float64  `json:"end_seconds"`
	ErrorType string   `json:"error_type"`
	Error     string   `json:"error"`
	Delay     *float64 `json:"delay_seconds,omitempty"`
	Pushback  bool     `json:"pushback,omitempty"`
}

// state returns what there is to show, or what is new since an earlier answer.
func (i *Inspector) state(since cursor) *state {
	live := i.watcher.Read()
	s := &state{
		Title: i.title, Instance: i.instance, TraceURL: i.traceURL,
		Now: clock.Now(nil).UTC(), Since: i.began.UTC(), Interval: interval.Seconds(),
		Policies: make([]policyState, 0, len(live.Policies)),
		Budgets:  make([]budgetState, 0, len(live.Budgets)),
		Guards:   make([]guardState, 0, len(live.Guards)),
		Warnings: make([]warningState, 0, len(live.Warnings)),
	}
	for _, w := range live.Warnings {
		s.Warnings = append(s.Warnings, warningState{w.Policy, w.Reason, w.N})
	}

	i.mu.Lock()
	defer i.mu.Unlock()
	h := &i.history
	next := cursor{i.began.UnixNano(), h.latest, h.settled}
	if s.Full = !since.continues(next); s.Full {
		since = cursor{}
	}
	w := h.window(since.sample)
	for n := range live.Policies {
		p := &live.Policies[n]
		s.Policies = append(s.Policies,
			newPolicyState(p, track(h.policies, p.Name, policyTrack{first: w.latest + 1}), w, since.call))
	}
	budgets := make(map[string]int, len(live.Budgets))
	for n := range live.Budgets {
		b := &live.Budgets[n]
		budgets[b.Name] = n
		s.Budgets = append(s.Budgets, newBudgetState(b, track(h.budgets, b.Name, budgetTrack{first: w.latest + 1}), w))
	}
	for n := range live.Guards {
		g := &live.Guards[n]
		t := track(h.guards, guardName{g.Kind, g.Name}, guardTrack{first: w.latest + 1})
		if n, ok := budgets[g.Name]; ok && g.Kind == kindSharedBudget {
			s.Budgets[n].share(g, t, w)
			continue
		}
		s.Guards = append(s.Guards, newGuardState(g, t, w))
	}
	s.Cursor = next.String()
	return s
}

// newPolicyState shows a policy, with the troubled calls after one.
func newPolicyState(p *telemetry.LivePolicy, t *policyTrack, w window, after uint64) policyState {
	s := policyState{
		Name: p.Name, Calls: make(map[string]int64), Errors: p.Errors(),
		Attempts: p.Attempts, Retries: p.Retries, Retried: p.Retried, Latency: seconds(p.Latency),
		History: policyHistory{
			Calls: w.values(&t.calls.series, t.first), Failed: w.values(&t.failed.series, t.first),
			Exhausted: w.values(&t.exhausted.series, t.first),
			Retried:   w.values(&t.retried.series, t.first), Saved: w.values(&t.saved.series, t.first),
			Retries: w.values(&t.retries.series, t.first), Latency: w.values(&t.latency.series, t.first),
		},
		Troubled: []troubledCall{},
	}
	for outcome, count := range p.Calls {
		if count > 0 {
			s.Calls[telemetry.Outcome(outcome).String()] = count
		}
	}
	calls, dropped := p.Troubled()
	s.Dropped = dropped
	for _, c := range calls {
		if c.ID > after {
			s.Troubled = append(s.Troubled, newTroubledCall(c))
		}
	}
	return s
}

func newBudgetState(b *telemetry.LiveBudget, t *budgetTrack, w window) budgetState {
	return budgetState{
		Name: b.Name, Tokens: number(b.Tokens), Capacity: number(b.Capacity),
		Granted: b.Granted, Denied: b.Denied, Refunded: b.Refunded,
		History: budgetHistory{
			Tokens: w.values(&t.tokens, t.first), Granted: w.values(&t.granted.series, t.first), Denied: w.values(&t.denied.series, t.first),
		},
	}
}

// kindSharedBudget is the kind under which telemetry counts what a budget has that replicas share.
const kindSharedBudget = "shared_budget"

// share adds what the budget has as one that replicas share.
func (s *budgetState) share(g *telemetry.LiveGuard, t *guardTrack, w window) {
	s.Shared = &sharedState{
		Mode: g.State, Tokens: levelOf(g, "tokens"), Capacity: levelOf(g, "capacity"),
		Exchanges: countsOf(g.Results), Changes: countsOf(g.Events), Error: g.Trouble,
	}
	s.History.Shared, s.History.Mode = w.values(&t.level, t.first), w.states(t)
}

func levelOf(g *telemetry.LiveGuard, name string) number {
	for _, l := range g.Levels {
		if l.Name == name {
			return number(l.Value)
		}
	}
	return number(math.NaN())
}

func countsOf(all []telemetry.LiveCount) map[string]int64 {
	counts := make(map[string]int64, len(all))
	for _, c := range all {
		counts[c.Name] = c.N
	}
	return counts
}

func newGuardState(g *telemetry.LiveGuard, t *guardTrack, w window) guardState {
	s := guardState{
		Kind: g.Kind, Name: g.Name, State: g.State,
		Results: countsOf(g.Results), Events: countsOf(g.Events), Levels: make(map[string]number),
		History: guardHistory{
			Calls: w.values(&t.calls.series, t.first), Rejected: w.values(&t.rejected.series, t.first),
			Level: w.values(&t.level, t.first),
		},
	}
	for _, l := range g.Levels {
		s.Levels[l.Name] = number(l.Value)
		if g.State == "open" || g.State == "forced_open" {
			s.Levels[l.Name] = number(math.NaN()) // its window is empty, which says nothing of the callee
		}
	}
	if g.State != "" {
		s.History.State = w.states(t)
	}
	return s
}

func newTroubledCall(c *telemetry.TroubledCall) troubledCall {
	began := c.Ended
	if len(c.Timeline) > 0 {
		if began = c.Timeline[0].Began; began.IsZero() {
			began = c.Timeline[0].Ended
		}
	}
	call := troubledCall{
		ID: c.ID, Outcome: c.Outcome.String(), Reason: c.Reason, Budget: c.Budget, Nested: c.Nested,
		Began: began.UTC(), Duration: seconds(c.Ended.Sub(began)), Attempts: c.Attempts, Max: c.Max,
		Timeline: make([]troubledAttempt, 0, len(c.Timeline)),
	}
	if c.Span.IsValid() {
		call.TraceID, call.SpanID = c.Span.TraceID().String(), c.Span.SpanID().String()
	}
	for _, a := range c.Timeline {
		shown := troubledAttempt{
			Attempt: a.Number, End: seconds(a.Ended.Sub(began)), ErrorType: a.ErrorType, Error: a.Error, Pushback: a.Pushback,
		}
		if !a.Began.IsZero() {
			start := seconds(a.Began.Sub(began))
			shown.Start = &start
		}
		if a.Retried {
			delay := seconds(a.Delay)
			shown.Delay = &delay
		}
		call.Timeline = append(call.Timeline, shown)
	}
	return call
}

// seconds returns d in seconds, to the microsecond.
func seconds(d time.Duration) float64 { return d.Round(time.Microsecond).Seconds() }
