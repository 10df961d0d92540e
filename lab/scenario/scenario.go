package scenario

import (
	"fmt"
	"time"

	"github.com/observable-go/toolkit/lab/model"
)

// A Scenario is callers, a callee and what goes wrong with it.
type Scenario struct {
	// Name is how the scenario is called, and Title what it shows, in a sentence. Source is where
	// its figures were published.
	Name   string `json:"name"   yaml:"name"`
	Title  string `json:"title"  yaml:"title"`
	Source string `json:"source" yaml:"source"`
	// Duration is how long it lasts: 1 s to 24 h. Warmup is the part at its beginning that does not count
	// for the baseline.
	Duration time.Duration `json:"duration" yaml:"duration"`
	Warmup   time.Duration `json:"warmup"   yaml:"warmup"`
	// Seed is the first of its seeds, and Seeds how many runs there are: 1 to 1,000; 5 by default.
	Seed  uint64 `json:"seed"  yaml:"seed"`
	Seeds int    `json:"seeds" yaml:"seeds"`

	Callers  Callers            `json:"callers"  yaml:"callers"`
	Callee   model.CalleeConfig `json:"callee"   yaml:"callee"`
	Faults   []model.Fault      `json:"faults"   yaml:"faults"`
	Policies []Policy           `json:"policies" yaml:"policies"`
	Expect   Thresholds         `json:"expect"   yaml:"expect"`
}

// Callers are the processes that call.
type Callers struct {
	// Clients is how many processes there are, each with policies of its own: 1 to 10,000; 1 by
	// default.
	Clients int `json:"clients" yaml:"clients"`
	// Open has calls come by themselves, spread evenly over the clients.
	Open *model.Arrivals `json:"open" yaml:"open"`
	// Closed has each client make calls one after the other.
	Closed *Closed `json:"closed" yaml:"closed"`
	// Deadline bounds each call, retries included; 0, the default, is none.
	Deadline time.Duration `json:"deadline" yaml:"deadline"`
	// Layers is how many services each call goes through before the callee, each of which
	// applies the policy: 1 to 8; 1 by default.
	Layers int `json:"layers" yaml:"layers"`
	// Blind layers do not say to their callers that they have given up on retries: what they
	// answer looks like any other failure, as between processes without a header for it.
	Blind bool `json:"blind" yaml:"blind"`
}

// Closed are clients that wait for the end of a call before the next.
type Closed struct {
	// Workers is how many calls each client has under way: 1 to 10,000; 1 by default.
	Workers int `json:"workers" yaml:"workers"`
	// Think is the time between two calls.
	Think model.Distribution `json:"think" yaml:"think"`
	// Calls is how many calls each worker makes; 0, the default, is no end.
	Calls int `json:"calls" yaml:"calls"`
}

// Thresholds are what a run must keep, in the median of its seeds. A field that is nil is not
// looked at.
type Thresholds struct {
	// MaxAmplification bounds requests a call over the whole run.
	MaxAmplification *float64 `json:"max_amplification" yaml:"max_amplification"`
	// MaxRecovery bounds the time from the end of the last fault to goodput as before. A run that
	// does not recover is over every bound.
	MaxRecovery *time.Duration `json:"max_recovery" yaml:"max_recovery"`
	// MinSuccess bounds the share of calls that succeed.
	MinSuccess *float64 `json:"min_success" yaml:"min_success"`
}

// Bounds of a scenario.
const (
	MaxDuration  = 24 * time.Hour
	MaxSeeds     = 1000
	MaxPolicies  = 8
	DefaultSeeds = 5
	// MaxCalls is how many calls a run may have, as far as that can be said before.
	MaxCalls = 50_000_000
)

// Validate reports the first field that is not allowed.
func (s *Scenario) Validate() error {
	switch {
	case s.Name == "":
		return notAllowed("name", `""`, "a name")
	case s.Duration < time.Second || s.Duration > MaxDuration:
		return notAllowed("duration", s.Duration, "1s to 24h0m0s")
	case s.Warmup < 0 || s.Warmup >= s.Duration:
		return notAllowed("warmup", s.Warmup, "at least 0s, and less than the duration")
	case s.Seeds < 0 || s.Seeds > MaxSeeds:
		return notAllowed("seeds", s.Seeds, fmt.Sprintf("1 to %d", MaxSeeds))
	case len(s.Policies) < 1 || len(s.Policies) > MaxPolicies:
		return notAllowed("policies", len(s.Policies), fmt.Sprintf("1 to %d of them", MaxPolicies))
	}
	if err := s.Callers.validate(s.Duration); err != nil {
		return err
	}
	if err := s.Callee.Validate("callee"); err != nil {
		return err
	}
	for i := range s.Faults {
		if err := s.Faults[i].Validate(fmt.Sprintf("faults[%d]", i), &s.Callee); err != nil {
			return err
		}
	}
	names := map[string]bool{}
	for i := range s.Policies {
		p := &s.Policies[i]
		path := fmt.Sprintf("policies[%d]", i)
		if p.Name == "" || names[p.Name] {
			return notAllowed(path+".name", fmt.Sprintf("%q", p.Name), "a name that no other policy has")
		}
		names[p.Name] = true
		if err := p.validate(path); err != nil {
			return err
		}
	}
	return s.Expect.validate()
}

func (c *Callers) validate(span time.Duration) error {
	switch {
	case c.Clients < 0 || c.Clients > 10_000:
		return notAllowed("callers.clients", c.Clients, "1 to 10000")
	case (c.Open == nil) == (c.Closed == nil):
		return notAllowed("callers", "open and closed", "one of them")
	case c.Deadline < 0:
		return notAllowed("callers.deadline", c.Deadline, "at least 0s; 0s is none")
	case c.Layers < 0 || c.Layers > 8:
		return notAllowed("callers.layers", c.Layers, "1 to 8")
	}
	if c.Open != nil {
		if err := c.Open.Validate("callers.open"); err != nil {
			return err
		}
		if calls := c.Open.Rate * span.Seconds(); calls > MaxCalls {
			return notAllowed("callers.open.rate", c.Open.Rate, fmt.Sprintf("no more than %d calls in the duration", MaxCalls))
		}
		return nil
	}
	switch {
	case c.Closed.Workers < 0 || c.Closed.Workers > 10_000:
		return notAllowed("callers.closed.workers", c.Closed.Workers, "1 to 10000")
	case max(c.Closed.Workers, 1)*max(c.Clients, 1) > 100_000:
		return notAllowed("callers.closed.workers", c.Closed.Workers, "no more than 100000 workers in all clients")
	case c.Closed.Calls < 0:
		return notAllowed("callers.closed.calls", c.Closed.Calls, "at least 0; 0 is no end")
	}
	return c.Closed.Think.Validate("callers.closed.think")
}

func (t *Thresholds) validate() error {
	switch {
	case t.MaxAmplification != nil && !(*t.MaxAmplification >= 0):
		return notAllowed("expect.max_amplification", *t.MaxAmplification, "at least 0")
	case t.MaxRecovery != nil && *t.MaxRecovery < 0:
		return notAllowed("expect.max_recovery", *t.MaxRecovery, "at least 0s")
	case t.MinSuccess != nil && !(*t.MinSuccess >= 0 && *t.MinSuccess <= 1):
		return notAllowed("expect.min_success", *t.MinSuccess, "0 to 1")
	}
	return nil
}

func notAllowed(field string, value any, want string) error {
	return fmt.Errorf("%s: %v is not allowed: want %s", field, value, want)
}
