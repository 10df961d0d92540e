package main

import (
	"context"
	"sync"
	"time"
)

// A step is a part of the story.
type step struct {
	name, text string
	lasts      time.Duration
	apply      func(*controls)
}

// storySteps are the story, of one minute.
var storySteps = []step{
	{
		"healthy", "All is well: each order asks inventory once and payments once.",
		8 * time.Second,
		func(c *controls) {
			if rate, _ := c.shoppers.look(); rate == 0 {
				usual := 50.0
				c.set(settings{Rate: &usual})
			}
			c.scene(healthy, false, false)
		},
	},
	{
		"outage_without_budget", "inventory is down. Each order sends it four requests: the retries are a storm.",
		14 * time.Second,
		func(c *controls) { c.scene(outage, false, false) },
	},
	{
		"outage_with_budget", "The retry budget is on: once its tokens are used up, ten orders allow one retry. The storm ends.",
		14 * time.Second,
		func(c *controls) { c.scene(outage, true, false) },
	},
	{
		"outage_with_breaker", "The circuit breaker is on too: it opens, and inventory gets a few probes only.",
		12 * time.Second,
		func(c *controls) { c.scene(outage, true, true) },
	},
	{
		"recovery", "inventory is back. The next probes succeed, and the breaker closes.",
		12 * time.Second,
		func(c *controls) { c.scene(healthy, true, true) },
	},
}

// scene sets everything: inventory may have a fault, the others are healthy.
func (c *controls) scene(what fault, budget, breaker bool) {
	for _, s := range c.services {
		f := healthy
		if s.name == nameInventory {
			f = what
		}
		c.setFault(s.name, f, 0)
	}
	c.set(settings{Budget: &budget, Breaker: &breaker})
}

// A story plays steps, one after the other, until it ends or is stopped.
type story struct {
	controls   *controls
	steps      []step
	background sync.WaitGroup

	mu     sync.Mutex
	cancel context.CancelFunc // nil: nothing is played
	number int                // of the play, so that a stopped one does nothing any more
	now    step
	until  time.Time
}

// storyState is the story as the API has it.
type storyState struct {
	Playing          bool    `json:"playing"`
	Step             string  `json:"step"`
	Text             string  `json:"text"`
	RemainingSeconds float64 `json:"remaining_seconds"` // of the step
}

// play begins the story anew.
func (s *story) play(ctx context.Context) {
	s.stop()
	ctx, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.number++
	s.cancel = cancel
	number := s.number
	s.background.Go(func() {
		defer cancel()
		for _, next := range s.steps {
			if !s.enter(number, next) {
				return
			}
			select {
			case <-time.After(next.lasts):
			case <-ctx.Done():
				return
			}
		}
		s.end(number)
	})
}

// enter begins a step, if the play was not stopped. It holds the lock, so that after stop has
// returned no step changes anything.
func (s *story) enter(number int, next step) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.number != number || s.cancel == nil {
		return false
	}
	s.now, s.until = next, time.Now().Add(next.lasts)
	s.controls.events.add("story", next.text)
	next.apply(s.controls)
	return true
}

func (s *story) end(number int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.number == number && s.cancel != nil {
		s.cancel = nil
		s.controls.events.add("story", "That was the story. Now break something yourself.")
	}
}

// stop ends the story where it is.
func (s *story) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cancel != nil {
		s.cancel()
		s.cancel = nil
		s.controls.events.add("story", "The story was stopped.")
	}
}

func (s *story) state() storyState {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cancel == nil {
		return storyState{}
	}
	return storyState{true, s.now.name, s.now.text, max(0, time.Until(s.until).Seconds())}
}
