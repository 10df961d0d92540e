package retryaws

import (
	"time"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// rules are a Config made ready for use. They are never changed: an Update replaces them,
// and a call keeps those with which it began.
type rules struct {
	retry.Config  // with its defaults filled in
	max           int
	maxPushback   time.Duration
	backoff       backoff.Exponential
	afterThrottle backoff.Exponential
}

// newRules returns the rules of a Config. A nil throttleDelay is the default one.
func newRules(c retry.Config, throttleDelay *time.Duration) (*rules, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.AttemptTimeout != 0 {
		return nil, notAllowed("attempt_timeout", c.AttemptTimeout, "0s: set a timeout at the HTTP client of the SDK")
	}
	c, maxPushback, err := withDefaults(c)
	if err != nil {
		return nil, err
	}
	r := &rules{Config: c, max: c.MaxRetries + 1, maxPushback: maxPushback}
	r.backoff = backoff.Exponential{Initial: c.InitialDelay, Max: c.MaxDelay, Base: c.ExponentialBase, Jitter: c.Jitter}
	r.afterThrottle = r.backoff
	if throttleDelay != nil {
		r.afterThrottle.Initial = *throttleDelay
	} else {
		r.afterThrottle.Initial = max(c.InitialDelay, DefaultThrottleDelay)
	}
	return r, nil
}

// withDefaults returns c with its defaults filled in, and how long a callee may ask to wait:
// MaxPushback, or MaxDelay where that was not set. Only package retry knows whether a 0 was
// set: the Config of a policy to which an option says so is then no other.
func withDefaults(c retry.Config) (filled retry.Config, maxPushback time.Duration, err error) {
	configOf := func(opts ...retry.Option) (retry.Config, error) {
		policy, err := retry.New("aws", append(opts, retry.WithTelemetry(telemetry.Off()))...)
		if err != nil {
			return retry.Config{}, err
		}
		return policy.Config(), nil
	}
	filled, err = configOf(retry.WithConfig(c))
	if err != nil {
		return filled, 0, err
	}
	obeysNone, err := configOf(retry.WithConfig(c), retry.WithMaxPushback(0))
	if filled.MaxPushback == 0 && filled != obeysNone {
		return filled, filled.MaxDelay, err
	}
	return filled, filled.MaxPushback, err
}

// delay returns the wait before the retry after the attempt of that number, and whether the
// service asked for it.
func (r *rules) delay(attempt int, err error) (d time.Duration, pushback bool) {
	if d, pushback = resilience.Pushback(err); pushback {
		return d, true
	}
	if d, pushback = pushbackIn(err); pushback {
		return d, true
	}
	b := r.backoff
	if isThrottle(err) {
		b = r.afterThrottle
	}
	return b.Delay(attempt-1, 0, clock.Random(nil)), false
}
