package model

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// Arrivals says when calls come that do not wait for each other.
type Arrivals struct {
	// Kind is poisson, the default, or constant.
	Kind string `json:"kind" yaml:"kind"`
	// Rate is how many calls come in a second, on average: above 0.
	Rate float64 `json:"rate" yaml:"rate"`
	// Bursts multiply the rate for a while.
	Bursts []Burst `json:"bursts" yaml:"bursts"`
	// Day is the period of a rate that rises and falls as a sine; 0, the default, is none. Swing is
	// by how much, as a share of the rate: 0 to 1.
	Day   time.Duration `json:"day"   yaml:"day"`
	Swing float64       `json:"swing" yaml:"swing"`
}

// A Burst multiplies a rate for a while.
type Burst struct {
	From   time.Duration `json:"from"   yaml:"from"`
	To     time.Duration `json:"to"     yaml:"to"`
	Factor float64       `json:"factor" yaml:"factor"`
}

// Poisson is the kind of arrivals that know nothing of each other.
const Poisson = "poisson"

const maxRate = 1e6

// Validate reports the first field that is not allowed.
func (a *Arrivals) Validate(path string) error {
	switch {
	case a.Kind != "" && a.Kind != Poisson && a.Kind != Constant:
		return notAllowed(path+".kind", a.Kind, "poisson or constant")
	case !(a.Rate > 0 && a.Rate <= maxRate):
		return notAllowed(path+".rate", a.Rate, "more than 0, to 1e6 calls a second")
	case a.Day < 0:
		return notAllowed(path+".day", a.Day, "at least 0s")
	case !(a.Swing >= 0 && a.Swing <= 1):
		return notAllowed(path+".swing", a.Swing, "0 to 1")
	}
	for i, b := range a.Bursts {
		path := fmt.Sprintf("%s.bursts[%d]", path, i)
		switch {
		case b.From < 0:
			return notAllowed(path+".from", b.From, "at least 0s")
		case b.To <= b.From:
			return notAllowed(path+".to", b.To, "later than from")
		case !(b.Factor >= 0 && b.Factor <= 1000):
			return notAllowed(path+".factor", b.Factor, "0 to 1000")
		}
	}
	return nil
}

// at returns the rate at a time.
func (a *Arrivals) at(now time.Duration) float64 {
	rate := a.Rate
	for _, b := range a.Bursts {
		if now >= b.From && now < b.To {
			rate *= b.Factor
		}
	}
	if a.Day > 0 {
		rate *= 1 + a.Swing*math.Sin(2*math.Pi*now.Seconds()/a.Day.Seconds())
	}
	return rate
}

// most returns the highest rate that there can be.
func (a *Arrivals) most() float64 {
	most := a.Rate
	for _, b := range a.Bursts {
		most *= max(1, b.Factor)
	}
	if a.Day > 0 {
		most *= 1 + a.Swing
	}
	return most
}

// Next returns when the next call comes after one. Poisson arrivals are thinned: candidates
// come at the highest rate, and count with the share that the rate is of that (Lewis and
// Shedler, Simulation of Nonhomogeneous Poisson Processes by Thinning, 1979).
func (a *Arrivals) Next(now time.Duration, r *rand.Rand) time.Duration {
	const last = time.Duration(math.MaxInt64 / 2)
	if a.Kind == Constant {
		if rate := a.at(now); rate > 1e-9 {
			return now + time.Duration(float64(time.Second)/rate)
		}
		return now + time.Second // it looks again
	}
	most := a.most()
	for now < last {
		now += time.Duration(r.ExpFloat64() / most * float64(time.Second))
		if rate := a.at(now); rate >= most || r.Float64()*most < rate {
			return now
		}
	}
	return now
}
