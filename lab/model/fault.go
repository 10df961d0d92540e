package model

import "time"

// A Fault is what is wrong with a callee for a while.
type Fault struct {
	// From and To bound the fault in time.
	From time.Duration `json:"from" yaml:"from"`
	To   time.Duration `json:"to"   yaml:"to"`
	// Shard is the one that has the fault, from 0 on; all by default.
	Shard *int `json:"shard" yaml:"shard"`
	// Down: requests fail at once.
	Down bool `json:"down" yaml:"down"`
	// Failures is the share of requests that fail after they were served: 0 to 1.
	Failures float64 `json:"failures" yaml:"failures"`
	// Slow is by what factor service takes longer: 0.001 to 1,000; 1 by default.
	Slow float64 `json:"slow" yaml:"slow"`
	// Capacity is the share of the servers that work: 0 to 1; 1 by default.
	Capacity *float64 `json:"capacity" yaml:"capacity"`
}

// Validate reports the first field that is not allowed.
func (f *Fault) Validate(path string, callee *CalleeConfig) error {
	switch {
	case callee.Kind == Row:
		return notAllowed(path, "a fault", "none, as the callee is a row")
	case f.From < 0:
		return notAllowed(path+".from", f.From, "at least 0s")
	case f.To <= f.From:
		return notAllowed(path+".to", f.To, "later than from")
	case !(f.Failures >= 0 && f.Failures <= 1):
		return notAllowed(path+".failures", f.Failures, "0 to 1")
	case f.Slow != 0 && !(f.Slow >= 0.001 && f.Slow <= 1000):
		return notAllowed(path+".slow", f.Slow, "0.001 to 1000")
	case f.Capacity != nil && !(*f.Capacity >= 0 && *f.Capacity <= 1):
		return notAllowed(path+".capacity", *f.Capacity, "0 to 1")
	}
	return callee.checkShard(path, f)
}

// An effect is what all faults of a moment do to a shard.
type effect struct {
	down     bool
	failures float64
	slow     float64
	capacity float64
}

func effects(faults []Fault, now time.Duration, shard int) effect {
	e := effect{slow: 1, capacity: 1}
	for i := range faults {
		f := &faults[i]
		if now < f.From || now >= f.To || f.Shard != nil && *f.Shard != shard {
			continue
		}
		e.down = e.down || f.Down
		e.failures = max(e.failures, f.Failures)
		if f.Slow != 0 {
			e.slow *= f.Slow
		}
		if f.Capacity != nil {
			e.capacity = min(e.capacity, *f.Capacity)
		}
	}
	return e
}
