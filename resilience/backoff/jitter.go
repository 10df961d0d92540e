package backoff

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Jitter is how chance spreads a delay, so that callers that failed together do not
// come back together. The zero Jitter is [FullJitter].
//
// Source: Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
type Jitter uint8

const (
	// FullJitter draws uniformly from 0 to the delay. It spreads best and is the
	// default.
	FullJitter Jitter = iota
	// EqualJitter draws uniformly from half the delay to the delay.
	EqualJitter
	// NoJitter leaves the delay as it is.
	NoJitter
)

// plusMinus + p is a jitter of p percent to either side.
const plusMinus Jitter = 100

// PlusMinus returns a jitter that draws uniformly from the delay less percent to the
// delay plus percent, at most the backoff's Max. The percentage is 1 to 100; any
// other gives a Jitter that Validate rejects.
func PlusMinus(percent int) Jitter {
	if percent < 1 || percent > 100 {
		return plusMinus // 0 percent, which is invalid
	}
	return plusMinus + Jitter(percent)
}

// Apply spreads d by chance: u is drawn uniformly from [0, 1).
func (j Jitter) Apply(d time.Duration, u float64) time.Duration {
	return j.apply(max(d, 0), 0, u)
}

func (j Jitter) apply(d, limit time.Duration, u float64) time.Duration {
	u = unit(u)
	switch j {
	case FullJitter:
		return clamp(u*float64(d), d)
	case EqualJitter:
		return d/2 + clamp(u*float64(d-d/2), d-d/2)
	}
	if j > plusMinus {
		spread := float64(j-plusMinus) / 100
		return clamp(float64(d)*(1-spread+2*spread*u), limit)
	}
	return d
}

// Validate reports whether j is none of the jitters of this package.
func (j Jitter) Validate() error {
	if j <= NoJitter || j > plusMinus && j <= plusMinus+100 {
		return nil
	}
	return fmt.Errorf("backoff: jitter: %v is not allowed: want %s", j, JitterNames)
}

// JitterNames says in words which jitters there are, for messages about another.
const JitterNames = "full, equal, none or plus_minus_1 to plus_minus_100 (percent)"

// String returns the jitter as it stands in a configuration: full, equal, none or,
// for 20 percent to either side, plus_minus_20.
func (j Jitter) String() string {
	switch {
	case j == FullJitter:
		return "full"
	case j == EqualJitter:
		return "equal"
	case j == NoJitter:
		return "none"
	case j >= plusMinus && j <= plusMinus+100:
		return fmt.Sprintf("plus_minus_%d", j-plusMinus)
	}
	return fmt.Sprintf("Jitter(%d)", uint8(j))
}

// MarshalText implements [encoding.TextMarshaler] with String's form.
func (j Jitter) MarshalText() ([]byte, error) {
	if err := j.Validate(); err != nil {
		return nil, err
	}
	return []byte(j.String()), nil
}

// UnmarshalText implements [encoding.TextUnmarshaler]. It reads String's form.
func (j *Jitter) UnmarshalText(text []byte) error {
	s := string(text)
	for _, known := range []Jitter{FullJitter, EqualJitter, NoJitter} {
		if s == known.String() {
			*j = known
			return nil
		}
	}
	if digits, ok := strings.CutPrefix(s, "plus_minus_"); ok {
		percent, err := strconv.Atoi(digits)
		if parsed := PlusMinus(percent); err == nil && parsed.String() == s && parsed != plusMinus {
			*j = parsed
			return nil
		}
	}
	return fmt.Errorf("backoff: jitter: %q is not allowed: want %s", s, JitterNames)
}
