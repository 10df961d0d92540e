package main

import (
	"context"
	"sync"
	"time"
)

// keepSamples is how many seconds the charts go back at most.
const keepSamples = 180

// A sample is what happened in one second.
type sample struct {
	orders    orderCounts // that second's, but for those in flight
	requests  map[string]int64
	tokens    map[string]float64
	breaker   map[string]string
	struckAny bool // a service had a fault
}

// historyState is the history as the API has it: one value a second, the newest last.
type historyState struct {
	Last      int64                `json:"last"` // the number of the newest value, from 1
	Orders    []int64              `json:"orders"`
	Succeeded []int64              `json:"succeeded"`
	Failed    []int64              `json:"failed"`
	Faults    []bool               `json:"faults"` // a service had one
	Requests  map[string][]int64   `json:"requests"`
	Tokens    map[string][]float64 `json:"tokens"`
	Breaker   map[string][]string  `json:"breaker"`
}

// A history takes a sample each second.
type history struct {
	mu      sync.Mutex
	last    int64
	samples []sample // the newest last
}

// record samples until the context is done.
func (h *history) record(ctx context.Context, s *shop) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	var placed orderCounts
	requests := make(map[string]int64)
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		next := sample{requests: make(map[string]int64), tokens: make(map[string]float64), breaker: make(map[string]string)}
		_, now := s.controls.shoppers.look()
		next.orders = orderCounts{
			Placed: now.Placed - placed.Placed, Succeeded: now.Succeeded - placed.Succeeded, Failed: now.Failed - placed.Failed,
		}
		placed = now
		for name, p := range s.controls.policies {
			sum := s.journal.total(name).Requests
			next.requests[name], requests[name] = sum-requests[name], sum
			next.tokens[name] = p.budget.Tokens()
			next.breaker[name] = p.stack.Breaker().State().String()
		}
		for _, service := range s.controls.services {
			if what, _ := service.faults.get(); what != healthy {
				next.struckAny = true
			}
		}
		h.add(next)
	}
}

func (h *history) add(next sample) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last++
	h.samples = append(h.samples, next)
	h.samples = h.samples[max(0, len(h.samples)-keepSamples):]
}

func (h *history) state() historyState {
	h.mu.Lock()
	defer h.mu.Unlock()
	state := historyState{
		Last: h.last, Orders: []int64{}, Succeeded: []int64{}, Failed: []int64{}, Faults: []bool{},
		Requests: make(map[string][]int64), Tokens: make(map[string][]float64), Breaker: make(map[string][]string),
	}
	for _, s := range h.samples {
		state.Orders = append(state.Orders, s.orders.Placed)
		state.Succeeded = append(state.Succeeded, s.orders.Succeeded)
		state.Failed = append(state.Failed, s.orders.Failed)
		state.Faults = append(state.Faults, s.struckAny)
		for name := range s.requests {
			state.Requests[name] = append(state.Requests[name], s.requests[name])
			state.Tokens[name] = append(state.Tokens[name], s.tokens[name])
			state.Breaker[name] = append(state.Breaker[name], s.breaker[name])
		}
	}
	return state
}
