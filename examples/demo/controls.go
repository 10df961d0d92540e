package main

import (
	"fmt"
	"sync"
)

// everyService stands for all services where a fault is set.
const everyService = "all"

// controls are what a viewer can turn.
type controls struct {
	services []*service
	policies map[string]*policies // by callee
	shoppers *shoppers
	events   *events

	mu      sync.Mutex
	budget  bool
	breaker bool
}

// settings are those of the API. What is missing stays as it is.
type settings struct {
	Budget  *bool    `json:"budget"`
	Breaker *bool    `json:"breaker"`
	Rate    *float64 `json:"rate"`
}

// check returns an error that says what is allowed.
func (s settings) check() error {
	if s.Rate != nil && !(*s.Rate >= 0 && *s.Rate <= maxRate) {
		return fmt.Errorf("rate: %v is not allowed: want 0 to %d orders a second", *s.Rate, maxRate)
	}
	return nil
}

// setFault sets the fault of a service, which was checked. A share of 0 is the default one.
func (c *controls) setFault(name string, what fault, share float64) {
	for _, s := range c.services {
		if name != everyService && name != s.name {
			continue
		}
		before, shareBefore := s.faults.get()
		s.faults.set(what, share)
		if now, shareNow := s.faults.get(); now != before || shareNow != shareBefore {
			c.events.add("fault", faultText(s.name, now, shareNow))
		}
	}
}

func faultText(service string, what fault, share float64) string {
	switch what {
	case healthy:
		return service + " is healthy"
	case slow:
		return service + " is slow: 100 to 700 ms"
	case fail:
		return fmt.Sprintf("%s fails %.0f %% of its requests", service, 100*share)
	case reset:
		return fmt.Sprintf("%s resets %.0f %% of its connections", service, 100*share)
	case outage:
		return service + " is down"
	}
	return ""
}

// set changes settings, which were checked.
func (c *controls) set(s settings) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.Budget != nil && *s.Budget != c.budget {
		c.budget = *s.Budget
		for _, p := range c.policies {
			p.budget.off.Store(!c.budget)
		}
		c.events.add("setting", "retry budget "+onOff(c.budget))
	}
	if s.Breaker != nil && *s.Breaker != c.breaker {
		c.breaker = *s.Breaker
		for _, p := range c.policies {
			p.setBreaker(c.breaker)
		}
		c.events.add("setting", "circuit breaker "+onOff(c.breaker))
	}
	if s.Rate != nil {
		if rate, _ := c.shoppers.look(); rate != *s.Rate {
			c.shoppers.setRate(*s.Rate)
			c.events.add("setting", fmt.Sprintf("%v orders a second", *s.Rate))
		}
	}
}

func (c *controls) switches() (budget, breaker bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.budget, c.breaker
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}
