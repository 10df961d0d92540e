package scenario

import (
	"context"
	"fmt"
	"time"

	"github.com/observable-go/toolkit/lab/sim"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/adaptive"
	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/breaker"
	"github.com/observable-go/toolkit/resilience/budget"
	"github.com/observable-go/toolkit/resilience/hedge"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// A Policy is what a client does, made of the toolkit's own policies. What is nil is left out.
type Policy struct {
	// Name tells policies apart.
	Name string `json:"name" yaml:"name"`
	// Retry is read as in a file of a service: see retry.Config.
	Retry *retry.Config `json:"retry" yaml:"retry"`
	// Delays is exponential, the default, or decorrelated or constant. The delays of the last two
	// are between the initial and the maximal one, or the initial one.
	Delays string `json:"delays" yaml:"delays"`
	// Budget caps retries.
	Budget *Budget `json:"budget" yaml:"budget"`
	// Throttle rejects calls by itself when the callee rejects many.
	Throttle *struct{} `json:"throttle" yaml:"throttle"`
	// AdaptiveRate limits the rate of calls by what the callee throttles.
	AdaptiveRate *struct{} `json:"adaptive_rate" yaml:"adaptive_rate"`
	// Breaker rejects calls while the callee fails.
	Breaker *Breaker `json:"breaker" yaml:"breaker"`
	// Hedge sends slow requests a second time.
	Hedge *Hedge `json:"hedge" yaml:"hedge"`
}

// A Budget is a retry budget: see package budget. A field that is nil has its default.
type Budget struct {
	Ratio *float64 `json:"ratio" yaml:"ratio"`
	Floor *float64 `json:"floor" yaml:"floor"`
	Burst *int     `json:"burst" yaml:"burst"`
	// Shared is one for all clients.
	Shared bool `json:"shared" yaml:"shared"`
}

// A Breaker is a circuit breaker: see package breaker. A field that is nil has its default.
type Breaker struct {
	FailureRatio *float64       `json:"failure_ratio" yaml:"failure_ratio"`
	MinCalls     *int           `json:"min_calls"     yaml:"min_calls"`
	Window       *time.Duration `json:"window"        yaml:"window"`
	OpenTime     *time.Duration `json:"open_time"     yaml:"open_time"`
}

// A Hedge sends a second request after a while. Without a delay it learns one.
type Hedge struct {
	Delay  *time.Duration `json:"delay"  yaml:"delay"`
	Copies *int           `json:"copies" yaml:"copies"`
}

const (
	exponentialDelays  = "exponential"
	decorrelatedDelays = "decorrelated"
	constantDelays     = "constant"
)

// validate makes the policy once, which says what is not allowed.
func (p *Policy) validate(path string) error {
	switch p.Delays {
	case "", exponentialDelays, decorrelatedDelays, constantDelays:
	default:
		return notAllowed(path+".delays", p.Delays, "exponential, decorrelated or constant")
	}
	w := sim.New(0)
	defer w.Close()
	if _, err := p.client(w, nil); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// A client is a process with policies of its own.
type client struct {
	retry   *retry.Policy
	stages  resilience.Policy
	hedge   *hedge.Hedge
	budget  *budget.Budget
	breaker *breaker.Breaker
}

// client makes the policies of one process. A budget that is not nil is that of all.
func (p *Policy) client(w *sim.World, shared *budget.Budget) (*client, error) {
	c := &client{budget: shared}
	var err error
	if p.Budget != nil && shared == nil {
		if c.budget, err = p.newBudget(w); err != nil {
			return nil, err
		}
	}
	if c.retry, err = p.newRetry(w, c.budget); err != nil {
		return nil, err
	}
	stages := []resilience.Policy{c.retry}
	if p.AdaptiveRate != nil {
		limiter, err := adaptive.NewRateLimiter("rate", adaptive.WithClock(w), adaptive.WithTelemetry(telemetry.Off()))
		if err != nil {
			return nil, err
		}
		stages = append(stages, limiter)
	}
	if p.Throttle != nil {
		throttle, err := adaptive.NewThrottle("throttle", adaptive.WithClock(w), adaptive.WithTelemetry(telemetry.Off()))
		if err != nil {
			return nil, err
		}
		stages = append(stages, throttle)
	}
	if p.Breaker != nil {
		if c.breaker, err = p.Breaker.make(w); err != nil {
			return nil, err
		}
		stages = append(stages, c.breaker)
	}
	if p.Hedge != nil {
		if c.hedge, err = p.Hedge.make(w); err != nil {
			return nil, err
		}
	}
	c.stages = c.retry // a chain of one costs a step
	if len(stages) > 1 {
		c.stages = resilience.Chain(stages...)
	}
	return c, nil
}

func (p *Policy) newBudget(w *sim.World) (*budget.Budget, error) {
	b := p.Budget
	opts := []budget.Option{budget.WithClock(w), budget.WithTelemetry(telemetry.Off())}
	if b.Ratio != nil {
		opts = append(opts, budget.WithRatio(*b.Ratio))
	}
	if b.Floor != nil {
		opts = append(opts, budget.WithFloor(*b.Floor))
	}
	if b.Burst != nil {
		opts = append(opts, budget.WithBurst(*b.Burst))
	}
	return budget.New("budget", opts...)
}

// retryConfig is that of the retry: none repeats nothing.
func (p *Policy) retryConfig() retry.Config {
	if p.Retry == nil {
		return retry.Config{MaxRetries: retry.NoRetries}
	}
	return *p.Retry
}

func (p *Policy) newRetry(w *sim.World, b *budget.Budget) (*retry.Policy, error) {
	opts := []retry.Option{retry.WithConfig(p.retryConfig()), retry.WithClock(w), retry.WithTelemetry(telemetry.Off())}
	made, err := retry.New("call", opts...)
	if err != nil {
		return nil, err
	}
	config := made.Config() // with its defaults
	switch p.Delays {
	case decorrelatedDelays:
		opts = append(opts, retry.WithBackoff(backoff.Decorrelated{Initial: config.InitialDelay, Max: config.MaxDelay}))
	case constantDelays:
		opts = append(opts, retry.WithBackoff(backoff.Constant{Interval: config.InitialDelay, Jitter: config.Jitter}))
	}
	if b != nil {
		opts = append(opts, retry.WithBudget(b))
	}
	return retry.New("call", opts...)
}

func (b *Breaker) make(w *sim.World) (*breaker.Breaker, error) {
	opts := []breaker.Option{breaker.WithClock(w), breaker.WithTelemetry(telemetry.Off())}
	if b.FailureRatio != nil {
		opts = append(opts, breaker.WithFailureRatio(*b.FailureRatio))
	}
	if b.MinCalls != nil {
		opts = append(opts, breaker.WithMinCalls(*b.MinCalls))
	}
	if b.Window != nil {
		opts = append(opts, breaker.WithTimeWindow(*b.Window))
	}
	if b.OpenTime != nil {
		opts = append(opts, breaker.WithOpenTime(*b.OpenTime))
	}
	return breaker.New("breaker", opts...)
}

func (h *Hedge) make(w *sim.World) (*hedge.Hedge, error) {
	opts := []hedge.Option{hedge.WithClock(w), hedge.WithTelemetry(telemetry.Off())}
	if h.Delay != nil {
		opts = append(opts, hedge.WithDelay(*h.Delay))
	}
	if h.Copies != nil {
		opts = append(opts, hedge.WithMaxCopies(*h.Copies))
	}
	return hedge.New("hedge", opts...)
}

// do makes a call through the policies.
func (c *client) do(ctx context.Context, op resilience.Operation) error {
	if c.hedge == nil {
		return c.stages.Do(ctx, op)
	}
	return c.stages.Do(ctx, func(ctx context.Context) error {
		_, err := hedge.DoValue(ctx, c.hedge, func(ctx context.Context) (struct{}, error) { return struct{}{}, op(ctx) }, nil)
		return err
	})
}
