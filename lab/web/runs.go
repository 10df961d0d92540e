package web

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/observable-go/toolkit/lab/scenario"
)

const (
	maxRunning = 2                // at a time; others wait
	maxRuns    = 16               // that are known, those that wait and those that have ended included
	patience   = 30 * time.Second // after which a run that nobody asks for is ended and forgotten
)

var (
	errTooMany = fmt.Errorf("there are %d runs already: cancel one, or wait", maxRuns)
	errClosed  = errors.New("the lab is closing")
	errNoRun   = errors.New("there is no such run: it was cancelled, or nobody asked for it")
)

// A comparison runs a scenario.
type comparison func(s *scenario.Scenario, ctx context.Context, progress func(share float64)) (*scenario.Report, error)

// runs are those that were started and that somebody still asks for.
type runs struct {
	compare comparison
	turn    chan struct{} // has a place for each that may run
	ended   sync.WaitGroup

	mu     sync.Mutex
	all    map[string]*run
	closed bool
}

// A run is one of a scenario. The mutex of runs guards its fields.
type run struct {
	cancel context.CancelFunc
	lease  *time.Timer
	began  time.Time // zero while it waits
	share  float64
	ended  bool
	report json.RawMessage
	err    error
}

// A state is what the page is told of a run.
type state struct {
	Done    float64 `json:"done"`
	Waiting bool    `json:"waiting,omitempty"`
	// Left is how long the run still takes, as far as that is known.
	Left   *float64        `json:"left_seconds,omitempty"`
	Report json.RawMessage `json:"report,omitempty"`
	Error  string          `json:"error,omitempty"`
}

func newRuns(compare comparison) *runs {
	return &runs{compare: compare, turn: make(chan struct{}, maxRunning), all: make(map[string]*run)}
}

// start begins a run and returns its name, which nobody can guess.
func (a *runs) start(s *scenario.Scenario) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.closed:
		return "", errClosed
	case len(a.all) >= maxRuns:
		return "", errTooMany
	}
	ctx, cancel := context.WithCancel(context.Background())
	id := rand.Text()
	r := &run{cancel: cancel, lease: time.AfterFunc(patience, func() { a.drop(id) })}
	a.all[id] = r
	a.ended.Go(func() { a.run(ctx, s, r) })
	return id, nil
}

// run waits for its turn and runs.
func (a *runs) run(ctx context.Context, s *scenario.Scenario, r *run) {
	defer r.cancel()
	select {
	case a.turn <- struct{}{}:
		defer func() { <-a.turn }()
	case <-ctx.Done():
		a.end(r, nil, ctx.Err())
		return
	}
	a.mu.Lock()
	r.began = time.Now()
	a.mu.Unlock()
	report, err := a.compare(s, ctx, func(share float64) {
		a.mu.Lock()
		defer a.mu.Unlock()
		r.share = max(r.share, min(share, 1))
	})
	var text []byte
	if err == nil {
		text, err = json.Marshal(report)
	}
	a.end(r, text, err)
}

func (a *runs) end(r *run, report json.RawMessage, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r.ended, r.report, r.err = true, report, err
}

// look returns the state of a run, which somebody asks for then.
func (a *runs) look(id string) (state, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.all[id]
	if r == nil {
		return state{}, false
	}
	r.lease.Reset(patience)
	s := state{Done: r.share, Waiting: r.began.IsZero() && !r.ended}
	switch {
	case r.err != nil:
		s.Error = r.err.Error()
	case r.ended:
		s.Done, s.Report = 1, r.report
	case r.share > 0:
		left := time.Since(r.began).Seconds() * (1 - r.share) / r.share
		s.Left = &left
	}
	return s, true
}

// drop ends a run, if it still runs, and forgets it.
func (a *runs) drop(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.all[id]
	if r == nil {
		return false
	}
	r.lease.Stop()
	r.cancel()
	delete(a.all, id)
	return true
}

// close ends all runs and waits for them.
func (a *runs) close() {
	a.mu.Lock()
	a.closed = true
	for id, r := range a.all {
		r.lease.Stop()
		r.cancel()
		delete(a.all, id)
	}
	a.mu.Unlock()
	a.ended.Wait()
}
