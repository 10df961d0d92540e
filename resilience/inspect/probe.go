package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

var (
	errCheckTimeout  = errors.New("the check took too long")
	errCheckPanicked = errors.New("the check panicked")
)

// The answer of a probe has the form of the Internet-Draft "Health Check Response Format for
// HTTP APIs" (draft-inadarei-api-health-check-06): a status, and observations by name.
type healthAnswer struct {
	Status string                   `json:"status"`
	Output string                   `json:"output,omitempty"`
	Checks map[string][]observation `json:"checks,omitempty"`
}

//
//nolint:tagliatelle // the names are those of the draft
type observation struct {
	Type          string    `json:"componentType,omitempty"`
	ObservedValue any       `json:"observedValue,omitempty"`
	ObservedUnit  string    `json:"observedUnit,omitempty"`
	Status        string    `json:"status"`
	Time          time.Time `json:"time"`
	Output        string    `json:"output,omitempty"`
}

// The values of status.
const (
	pass = "pass"
	warn = "warn"
	fail = "fail"
)

// Live returns the handler for a liveness probe. It answers 200 as long as the process
// answers at all.
func (h *Health) Live() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, healthAnswer{Status: pass})
	})
}

// Ready returns the handler for a readiness probe. It answers 200 if the service is ready
// and 503 if not, with the reasons in JSON.
func (h *Health) Ready() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, h.ready(r.Context()))
	})
}

func answer(w http.ResponseWriter, r *http.Request, a healthAnswer) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "A probe only reads: use GET.", http.StatusMethodNotAllowed)
		return
	}
	body, err := json.Marshal(a)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/health+json")
	w.Header().Set("Cache-Control", "no-store")
	if a.Status == fail {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, _ = w.Write(append(body, '\n')) // who does not read it does not need it
}

// ready observes everything.
func (h *Health) ready(ctx context.Context) healthAnswer {
	a := healthAnswer{Status: pass, Checks: make(map[string][]observation)}
	h.observePolicies(&a)
	h.observeChecks(ctx, &a)
	if h.draining.Load() {
		a.Status, a.Output = fail, "draining: the service is about to stop"
	}
	return a
}

// observePolicies adds the breakers that are not closed and the budgets that are empty.
func (h *Health) observePolicies(a *healthAnswer) {
	now := clock.Now(nil).UTC()
	live := telemetry.ReadLive(h.settings.provider)
	missing := slices.Clone(h.settings.breakers)
	for i := range live.Guards {
		g := &live.Guards[i]
		if g.Kind != "breaker" || g.State == "" {
			continue
		}
		missing = slices.DeleteFunc(missing, func(name string) bool { return name == g.Name })
		if g.State == "closed" || g.State == "disabled" {
			continue
		}
		o := observation{Type: "component", ObservedValue: g.State, Status: warn, Time: now}
		if g.State != "half_open" && slices.Contains(h.settings.breakers, g.Name) {
			o.Status, o.Output = fail, "the circuit breaker is open, and the service requires its callee"
		}
		a.add("breaker:"+g.Name, o)
	}
	for _, name := range missing {
		a.add("breaker:"+name, observation{
			Type: "component", Status: warn, Time: now, Output: "there is no circuit breaker of this name by now",
		})
	}
	shared := h.observeShared(live.Guards, a)
	for _, b := range live.Budgets {
		if b.Tokens < 1 && !shared[b.Name] {
			a.add("budget:"+b.Name, observation{
				Type: "component", ObservedValue: number(b.Tokens), ObservedUnit: "tokens", Status: warn, Time: now,
				Output: "the retry budget is empty",
			})
		}
	}
}

// observeShared adds the budgets that replicas share and that do not decide together, and
// returns the names of all of them: such a budget may hold no token of its own.
func (h *Health) observeShared(live []telemetry.LiveGuard, a *healthAnswer) map[string]bool {
	names := make(map[string]bool)
	for i := range live {
		g := &live[i]
		if g.Kind != kindSharedBudget {
			continue
		}
		names[g.Name] = true
		o := observation{Type: "component", ObservedValue: g.State, Status: warn, Time: clock.Now(nil).UTC()}
		switch {
		case g.State == "closed":
			o.Output = "no retry is granted, as the store of the shared budget is not there"
		case g.State == "local":
			o.Output = "a local budget decides, as the store of the shared budget is not there"
		case g.State == "shared" && levelOf(g, "tokens") < 1:
			o.Output = "the retry budget of all replicas is empty"
		default:
			continue
		}
		if g.Trouble != "" {
			o.Output += ": " + g.Trouble
		}
		a.add("budget:"+g.Name, o)
	}
	return names
}

// observeChecks runs all checks side by side and adds their results.
func (h *Health) observeChecks(ctx context.Context, a *healthAnswer) {
	results := make([]observation, len(h.checks))
	var group sync.WaitGroup
	for i, c := range h.checks {
		group.Add(1)
		clock.Go(nil, func() {
			defer group.Done()
			ended, err := c.result(ctx, h.settings.timeout, h.settings.age)
			results[i] = observation{Type: "component", Status: pass, Time: ended.UTC()}
			if err == nil {
				return
			}
			results[i].Status, results[i].Output = fail, telemetry.ErrorText(err)
			if c.optional {
				results[i].Status = warn
			}
		})
	}
	group.Wait()
	for i, c := range h.checks {
		a.add(c.name, results[i])
	}
}

// add adds an observation; the status of all is the worst.
func (a *healthAnswer) add(name string, o observation) {
	a.Checks[name] = append(a.Checks[name], o)
	if o.Status == fail || o.Status == warn && a.Status == pass {
		a.Status = o.Status
	}
}
