package retry

import (
	"fmt"
	"math"
	"time"

	"github.com/observable-go/toolkit/resilience/backoff"
)

// Config is the part of a policy that is data: what may stand in a file or in the
// environment, and what [Policy.Update] replaces while the service runs.
//
// A zero field means its default. Where 0 is a value of its own the option of the same
// name or a file says so: in JSON, YAML and the environment a field that is there
// counts, also if it is 0, and so does each field of what [Policy.Config] returns. For no
// retries there is NoRetries. In text durations stand as "1.5s" and names in snake case:
//
//	{"max_retries": 5, "initial_delay": "500ms", "max_delay": "10s", "jitter": "full"}
//
// Decoding sets only what is there, so a preset may be decoded into. Unknown names
// and values out of range are errors. Make it a named field of your own configuration:
// embedded or inlined it would take over the decoding of the whole.
type Config struct {
	// MaxRetries is how many times at most a call is repeated after its first attempt:
	// 1 to 1,000,000,000, or NoRetries; 3 by default.
	MaxRetries int
	// InitialDelay is the delay before the first retry, before jitter: at least 0; 1s
	// by default.
	InitialDelay time.Duration
	// MaxDelay bounds every delay of the exponential backoff: above 0; 1m by default.
	// If it is shorter than InitialDelay it bounds that too.
	MaxDelay time.Duration
	// ExponentialBase is the factor from one delay to the next: at least 1; 2 by
	// default.
	ExponentialBase float64
	// Jitter is how chance spreads a delay: backoff.FullJitter by default.
	Jitter backoff.Jitter
	// AttemptTimeout bounds each attempt: at least 0; 0, the default, is no bound. What
	// outlives its attempt uses resilience.Retain.
	AttemptTimeout time.Duration
	// MaxElapsed blocks retries that would start later than this after the call began:
	// at least 0; 0, the default, is no bound. It cancels nothing that runs.
	MaxElapsed time.Duration
	// MaxPushback is how long a callee may ask to wait. A callee that asks for more
	// ends the call, as waiting less than it asked for would only do harm. At least 0;
	// MaxDelay by default.
	MaxPushback time.Duration

	// explicit has a bit for each field that was set although it may be zero.
	explicit fieldSet
}

type fieldSet uint16

const (
	setMaxRetries fieldSet = 1 << iota
	setInitialDelay
	setMaxDelay
	setExponentialBase
	setJitter
	setAttemptTimeout
	setMaxElapsed
	setMaxPushback

	setAll = 1<<iota - 1
)

// Defaults of a Config.
const (
	DefaultMaxRetries      = 3
	DefaultInitialDelay    = time.Second
	DefaultMaxDelay        = time.Minute
	DefaultExponentialBase = 2.0
)

// NoRetries is the MaxRetries of a Config that allows none, as 0 is the default. In a
// file and for WithMaxRetries it is a plain 0.
const NoRetries = math.MinInt32

const maxMaxRetries = 1_000_000_000

// A ConfigError says which setting is not allowed and what would be.
type ConfigError struct {
	Field string // in snake case, as in a file
	Value any
	Want  string
}

// Error names the field, the value and what is allowed.
func (e *ConfigError) Error() string {
	return fmt.Sprintf("%s: %v is not allowed: want %s", e.Field, e.Value, e.Want)
}

// withDefaults returns c with every field that was not set at its default.
func (c Config) withDefaults() Config {
	fill := func(field fieldSet, zero bool, set func()) {
		if zero && c.explicit&field == 0 {
			set()
		}
	}
	if c.MaxRetries == NoRetries {
		c.MaxRetries = 0
		c.explicit |= setMaxRetries
	}
	fill(setMaxRetries, c.MaxRetries == 0, func() { c.MaxRetries = DefaultMaxRetries })
	fill(setInitialDelay, c.InitialDelay == 0, func() { c.InitialDelay = DefaultInitialDelay })
	fill(setMaxDelay, c.MaxDelay == 0, func() { c.MaxDelay = DefaultMaxDelay })
	fill(setExponentialBase, c.ExponentialBase == 0, func() { c.ExponentialBase = DefaultExponentialBase })
	c.explicit |= setAll &^ setMaxPushback
	return c
}

// pushbackLimit is MaxPushback, or MaxDelay where it is not set.
func (c Config) pushbackLimit() time.Duration {
	if c.MaxPushback == 0 && c.explicit&setMaxPushback == 0 {
		return c.MaxDelay
	}
	return c.MaxPushback
}

// Validate reports the first field that is out of its range, as a [*ConfigError].
func (c Config) Validate() error {
	c = c.withDefaults()
	switch {
	case c.MaxRetries < 0 || c.MaxRetries > maxMaxRetries:
		return notAllowed("max_retries", c.MaxRetries, fmt.Sprintf("0 to %d", maxMaxRetries))
	case c.InitialDelay < 0:
		return notAllowed("initial_delay", c.InitialDelay, "at least 0s")
	case c.MaxDelay <= 0:
		return notAllowed("max_delay", c.MaxDelay, "more than 0s")
	case !(c.ExponentialBase >= 1 && c.ExponentialBase <= math.MaxFloat64):
		return notAllowed("exponential_base", c.ExponentialBase, "a finite number of at least 1")
	case c.Jitter.Validate() != nil:
		return notAllowed("jitter", c.Jitter, backoff.JitterNames)
	case c.AttemptTimeout < 0:
		return notAllowed("attempt_timeout", c.AttemptTimeout, "at least 0s; 0s is no timeout")
	case c.MaxElapsed < 0:
		return notAllowed("max_elapsed", c.MaxElapsed, "at least 0s; 0s is no bound")
	case c.MaxPushback < 0:
		return notAllowed("max_pushback", c.MaxPushback, "at least 0s")
	}
	return nil
}

// Presets for the callees that most services have. They differ in how long a caller
// can wait and in what an attempt costs the callee.

// FastCall returns the preset for fast calls of an API: 3 retries, from 0.5s to 10s.
func FastCall() Config { return preset(3, 500*time.Millisecond, 10*time.Second) }

// DatabaseQuery returns the preset for queries of a database: 3 retries, from 1s to 30s.
func DatabaseQuery() Config { return preset(3, time.Second, 30*time.Second) }

// VectorSearch returns the preset for a search in a vector store: 3 retries, from 1s to 30s.
func VectorSearch() Config { return preset(3, time.Second, 30*time.Second) }

// LLMGeneration returns the preset for a generation by a language model: 2 retries, from 2s to 60s.
func LLMGeneration() Config { return preset(2, 2*time.Second, time.Minute) }

// BatchJob returns the preset for a step of a batch job: 5 retries, from 5s to 120s.
func BatchJob() Config { return preset(5, 5*time.Second, 2*time.Minute) }

func preset(maxRetries int, initialDelay, maxDelay time.Duration) Config {
	return Config{MaxRetries: maxRetries, InitialDelay: initialDelay, MaxDelay: maxDelay}
}
