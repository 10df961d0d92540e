package scenario

import (
	"fmt"
	"strings"
	"time"

	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// GoCode returns the policy as the code of a service.
func (p *Policy) GoCode() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	if p.Budget != nil {
		line("retries := budget.MustNew(\"callee\"%s)", p.Budget.options())
	}
	line("policy := retry.MustNew(\"callee.call\"%s)", p.retryOptions())
	stages := []string{"policy"}
	if p.AdaptiveRate != nil {
		line("limit := adaptive.MustNewRateLimiter(\"callee\")")
		stages = append(stages, "limit")
	}
	if p.Throttle != nil {
		line("throttle := adaptive.MustNewThrottle(\"callee\")")
		stages = append(stages, "throttle")
	}
	if p.Breaker != nil {
		line("guard := breaker.MustNew(\"callee\"%s)", p.Breaker.options())
		stages = append(stages, "guard")
	}
	if len(stages) > 1 {
		line("chain := resilience.Chain(%s)", strings.Join(stages, ", "))
	}
	if p.Hedge != nil {
		line("copies := hedge.MustNew(\"callee\"%s) // around the operation: hedge.Wrap", p.Hedge.options())
	}
	return b.String()
}

// retryOptions are those that differ from the defaults.
func (p *Policy) retryOptions() string {
	var b strings.Builder
	option := func(format string, args ...any) { fmt.Fprintf(&b, ",\n\tretry.With"+format, args...) }
	made := func(config retry.Config) retry.Config {
		return retry.MustNew("a", retry.WithConfig(config), retry.WithTelemetry(telemetry.Off())).Config()
	}
	usual, c := made(retry.Config{}), made(p.retryConfig())
	if c.MaxRetries != usual.MaxRetries {
		option("MaxRetries(%d)", c.MaxRetries)
	}
	switch p.Delays {
	case decorrelatedDelays:
		option("Backoff(backoff.Decorrelated{Initial: %s, Max: %s})", goDuration(c.InitialDelay), goDuration(c.MaxDelay))
	case constantDelays:
		option("Backoff(backoff.Constant{Interval: %s, Jitter: %s})", goDuration(c.InitialDelay), goJitter(c.Jitter))
	default:
		for _, d := range []struct {
			name      string
			is, usual time.Duration
		}{{"InitialDelay", c.InitialDelay, usual.InitialDelay}, {"MaxDelay", c.MaxDelay, usual.MaxDelay}} {
			if d.is != d.usual {
				option("%s(%s)", d.name, goDuration(d.is))
			}
		}
		if c.ExponentialBase != usual.ExponentialBase {
			option("ExponentialBase(%v)", c.ExponentialBase)
		}
		if c.Jitter != usual.Jitter {
			option("Jitter(%s)", goJitter(c.Jitter))
		}
	}
	for _, d := range []struct {
		name      string
		is, usual time.Duration
	}{
		{"AttemptTimeout", c.AttemptTimeout, usual.AttemptTimeout}, {"MaxElapsed", c.MaxElapsed, usual.MaxElapsed},
		{"MaxPushback", c.MaxPushback, usual.MaxPushback},
	} {
		if d.is != d.usual {
			option("%s(%s)", d.name, goDuration(d.is))
		}
	}
	if p.Budget != nil {
		option("Budget(retries)")
	}
	return b.String()
}

func (b *Budget) options() string {
	var s strings.Builder
	if b.Ratio != nil {
		fmt.Fprintf(&s, ", budget.WithRatio(%v)", *b.Ratio)
	}
	if b.Floor != nil {
		fmt.Fprintf(&s, ", budget.WithFloor(%v)", *b.Floor)
	}
	if b.Burst != nil {
		fmt.Fprintf(&s, ", budget.WithBurst(%d)", *b.Burst)
	}
	return s.String()
}

func (b *Breaker) options() string {
	var s strings.Builder
	if b.FailureRatio != nil {
		fmt.Fprintf(&s, ", breaker.WithFailureRatio(%v)", *b.FailureRatio)
	}
	if b.MinCalls != nil {
		fmt.Fprintf(&s, ", breaker.WithMinCalls(%d)", *b.MinCalls)
	}
	if b.Window != nil {
		fmt.Fprintf(&s, ", breaker.WithTimeWindow(%s)", goDuration(*b.Window))
	}
	if b.OpenTime != nil {
		fmt.Fprintf(&s, ", breaker.WithOpenTime(%s)", goDuration(*b.OpenTime))
	}
	return s.String()
}

func (h *Hedge) options() string {
	var s strings.Builder
	if h.Delay != nil {
		fmt.Fprintf(&s, ", hedge.WithDelay(%s)", goDuration(*h.Delay))
	}
	if h.Copies != nil {
		fmt.Fprintf(&s, ", hedge.WithMaxCopies(%d)", *h.Copies)
	}
	return s.String()
}

// goDuration returns a duration as Go code.
func goDuration(d time.Duration) string {
	for _, unit := range []struct {
		is   time.Duration
		name string
	}{
		{time.Hour, "time.Hour"}, {time.Minute, "time.Minute"}, {time.Second, "time.Second"},
		{time.Millisecond, "time.Millisecond"}, {time.Microsecond, "time.Microsecond"},
	} {
		if d != 0 && d%unit.is == 0 {
			if d == unit.is {
				return unit.name
			}
			return fmt.Sprintf("%d*%s", d/unit.is, unit.name)
		}
	}
	return fmt.Sprintf("time.Duration(%d)", d)
}

func goJitter(j backoff.Jitter) string {
	switch j {
	case backoff.FullJitter:
		return "backoff.FullJitter"
	case backoff.EqualJitter:
		return "backoff.EqualJitter"
	case backoff.NoJitter:
		return "backoff.NoJitter"
	}
	return fmt.Sprintf("backoff.PlusMinus(%s)", strings.TrimPrefix(j.String(), "plus_minus_"))
}
