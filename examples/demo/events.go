package main

import (
	"slices"
	"sync"
	"time"
)

// keepEvents is how many events are kept.
const keepEvents = 40

// An event is something that a viewer should know of.
type event struct {
	Time time.Time `json:"time"`
	Kind string    `json:"kind"` // fault, setting, breaker or story
	Text string    `json:"text"`
}

// events are the latest ones.
type events struct {
	mu     sync.Mutex
	latest []event // the newest last
}

func (e *events) add(kind, text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.latest = append(e.latest, event{time.Now(), kind, text})
	e.latest = e.latest[max(0, len(e.latest)-keepEvents):]
}

// all returns the latest events, the newest first.
func (e *events) all() []event {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := slices.Clone(e.latest)
	slices.Reverse(all)
	return all
}
