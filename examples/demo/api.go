package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"
)

// state is what GET /api/state answers.
type state struct {
	Now      time.Time      `json:"now"`
	Rate     float64        `json:"rate"`
	Budget   bool           `json:"budget"`
	Breaker  bool           `json:"breaker"`
	TraceURL string         `json:"trace_url"`
	Story    storyState     `json:"story"`
	Orders   orderCounts    `json:"orders"`
	Services []serviceState `json:"services"`
	Budgets  []budgetState  `json:"budgets"`
	Breakers []breakerState `json:"breakers"`
	History  historyState   `json:"history"`
	Events   []event        `json:"events"`        // the newest first
	Failed   []entry        `json:"failed_orders"` // the newest first
}

type serviceState struct {
	Name  string  `json:"name"`
	Port  int     `json:"port"`
	Fault fault   `json:"fault"`
	Share float64 `json:"share"`

	total
}

type budgetState struct {
	Name     string  `json:"name"`
	Tokens   float64 `json:"tokens"`
	Capacity float64 `json:"capacity"`
}

type breakerState struct {
	Name  string `json:"name"`
	State string `json:"state"`
}

func (s *shop) state() state {
	rate, orders := s.controls.shoppers.look()
	now := state{
		Now: time.Now(), Rate: rate, TraceURL: s.options.traceURL, Orders: orders,
		Story: s.story.state(), History: s.history.state(), Events: s.controls.events.all(), Failed: s.journal.latestFailed(),
	}
	now.Budget, now.Breaker = s.controls.switches()
	for _, service := range s.controls.services {
		what, share := service.faults.get()
		now.Services = append(now.Services, serviceState{service.name, service.port(), what, share, s.journal.total(service.name)})
		if p := s.controls.policies[service.name]; p != nil {
			now.Budgets = append(now.Budgets, budgetState{service.name, p.budget.Tokens(), p.budget.Capacity()})
			now.Breakers = append(now.Breakers, breakerState{service.name, p.stack.Breaker().State().String()})
		}
	}
	return now
}

// api returns the handler of everything below /api/. What is not allowed changes nothing, and the
// story goes on. The context bounds the story.
func (s *shop) api(ctx context.Context) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/state", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, s.state()) })
	mux.Handle("POST /api/faults", turn(s, func(body struct {
		Service string  `json:"service"`
		Fault   fault   `json:"fault"`
		Share   float64 `json:"share"`
	},
	) error {
		if err := checkFault(body.Service, body.Fault, body.Share); err != nil {
			return err
		}
		s.story.stop()
		s.controls.setFault(body.Service, body.Fault, body.Share)
		return nil
	}))
	mux.Handle("POST /api/settings", turn(s, func(body settings) error {
		if err := body.check(); err != nil {
			return err
		}
		s.story.stop()
		s.controls.set(body)
		return nil
	}))
	mux.Handle("POST /api/story", turn(s, func(body struct {
		Play bool `json:"play"`
	},
	) error {
		if body.Play {
			s.story.play(ctx)
		} else {
			s.story.stop()
		}
		return nil
	}))
	return mux
}

// turn returns a handler that reads a body as JSON, does something with it, and answers with the
// state that comes of it.
func turn[T any](s *shop, do func(T) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body T
		err := read(w, r, &body)
		if err == nil {
			err = do(body)
		}
		if err != nil {
			answer(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
			return
		}
		answer(w, http.StatusOK, s.state())
	})
}

func read(w http.ResponseWriter, r *http.Request, body any) error {
	const want = "Content-Type: %q is not allowed: want application/json"
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return fmt.Errorf(want, r.Header.Get("Content-Type"))
	}
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<10))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(body); err != nil {
		return fmt.Errorf("body: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("body: more than one value is not allowed: want one object")
	}
	return nil
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) //nolint:errchkjson // it can be encoded, and nobody is left to tell if the client has gone
}
