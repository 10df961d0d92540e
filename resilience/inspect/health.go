package inspect

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// Defaults of [Health] and bounds of its options.
const (
	DefaultCheckTimeout = time.Second
	MaxCheckTimeout     = time.Minute
	DefaultCheckAge     = time.Second
	MaxCheckAge         = 5 * time.Minute
)

// Health answers the probes of an orchestrator such as Kubernetes: whether the process
// lives, and whether it is ready for requests.
//
// A probe that asks a dependency takes every replica out of service when that fails, so that
// nobody answers any more. So [Health.Live] asks nobody. [Health.Ready] fails for the checks
// that the service names and during [Health.Drain] only; open breakers, empty budgets and
// optional checks that fail are warnings in its answer, unless [WithRequiredBreaker] says
// that the service is of no use without that callee.
//
// It is safe for use by several goroutines at once.
type Health struct {
	settings healthSettings
	draining atomic.Bool
	checks   []*check
}

// A HealthOption changes a setting of a new [Health].
type HealthOption func(*healthSettings) error

type healthSettings struct {
	checks   []*check
	breakers []string
	timeout  time.Duration
	age      time.Duration
	provider metric.MeterProvider
}

// WithCheck makes readiness depend on a check: f returns nil if all is well. It runs when
// somebody asks, under the timeout of [WithCheckTimeout], never twice at a time, and its
// result is used for as long as [WithCheckAge] says. A check that panics has failed.
func WithCheck(name string, f func(context.Context) error) HealthOption {
	return withCheck(name, f, false)
}

// WithOptionalCheck adds a check that warns when it fails, while the service stays ready.
func WithOptionalCheck(name string, f func(context.Context) error) HealthOption {
	return withCheck(name, f, true)
}

func withCheck(name string, f func(context.Context) error, optional bool) HealthOption {
	return func(s *healthSettings) error {
		if err := telemetry.ValidateName(name); err != nil {
			return fmt.Errorf("check: %w", err)
		}
		if f == nil {
			return fmt.Errorf("check: %q: nil is not allowed: want a function", name)
		}
		for _, other := range s.checks {
			if other.name == name {
				return fmt.Errorf("check: %q is not allowed: want a name that no other check has", name)
			}
		}
		s.checks = append(s.checks, &check{name: name, run: f, optional: optional})
		return nil
	}
}

// WithRequiredBreaker makes the service unready while the circuit breaker of that name is
// open. Use it only for a callee without which no request can be answered, and that is not
// shared by all replicas.
func WithRequiredBreaker(name string) HealthOption {
	return func(s *healthSettings) error {
		if err := telemetry.ValidateName(name); err != nil {
			return fmt.Errorf("required_breaker: %w", err)
		}
		s.breakers = append(s.breakers, name)
		return nil
	}
}

// WithCheckTimeout sets how long a check may take: 1 ms to [MaxCheckTimeout]. By default it
// is [DefaultCheckTimeout]. It should be shorter than the timeout of the probe.
func WithCheckTimeout(d time.Duration) HealthOption {
	return func(s *healthSettings) error {
		s.timeout = d
		if d < time.Millisecond || d > MaxCheckTimeout {
			return fmt.Errorf("check_timeout: %v is not allowed: want 1ms to %v", d, MaxCheckTimeout)
		}
		return nil
	}
}

// WithCheckAge sets for how long the result of a check is used: 0, for never, to
// [MaxCheckAge]. By default it is [DefaultCheckAge]. It bounds what many probes cost.
func WithCheckAge(d time.Duration) HealthOption {
	return func(s *healthSettings) error {
		s.age = d
		if d < 0 || d > MaxCheckAge {
			return fmt.Errorf("check_age: %v is not allowed: want 0s to %v", d, MaxCheckAge)
		}
		return nil
	}
}

// WithHealthMeterProvider looks only at breakers and budgets that emit their metrics to p.
// By default it is all of the process.
func WithHealthMeterProvider(p metric.MeterProvider) HealthOption {
	return func(s *healthSettings) error {
		s.provider = p
		if p == nil {
			return errNoMeterProvider
		}
		return nil
	}
}

// NewHealth returns the health of a service. Without options it is ready until it drains.
func NewHealth(opts ...HealthOption) (*Health, error) {
	s := healthSettings{timeout: DefaultCheckTimeout, age: DefaultCheckAge}
	for _, opt := range opts {
		if opt == nil {
			continue
		}
		if err := opt(&s); err != nil {
			return nil, fmt.Errorf("inspect: health: %w", err)
		}
	}
	return &Health{settings: s, checks: s.checks}, nil
}

// Drain makes the service unready from now on. Call it when the service is asked to stop,
// some seconds before the server shuts down, so that balancers send nothing new meanwhile.
func (h *Health) Drain() { h.draining.Store(true) }

// A check is a function of the user's with its latest result.
type check struct {
	name     string
	optional bool
	run      func(context.Context) error

	mu      sync.Mutex
	ended   time.Time
	err     error
	running chan struct{} // closed when the run under way has ended, nil if there is none
}

// result returns the latest result if it is young enough, or else that of a run, which ends
// by itself when ctx does not wait for it.
func (c *check) result(ctx context.Context, timeout, age time.Duration) (ended time.Time, err error) {
	c.mu.Lock()
	if !c.ended.IsZero() && clock.Since(nil, c.ended) < age {
		defer c.mu.Unlock()
		return c.ended, c.err
	}
	if c.running == nil {
		c.running = make(chan struct{})
		clock.Go(nil, func() { c.runOnce(timeout) })
	}
	running := c.running
	c.mu.Unlock()

	limited, cancel := clock.WithTimeoutCause(ctx, nil, timeout, errCheckTimeout)
	defer cancel()
	select {
	case <-running:
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.ended, c.err
	case <-limited.Done():
		return clock.Now(nil), context.Cause(limited)
	}
}

func (c *check) runOnce(timeout time.Duration) {
	ctx, cancel := clock.WithTimeoutCause(context.Background(), nil, timeout, errCheckTimeout)
	defer cancel()
	err := errCheckPanicked
	defer func() {
		_ = recover() // err says so
		c.mu.Lock()
		defer c.mu.Unlock()
		c.err, c.ended = err, clock.Now(nil)
		close(c.running)
		c.running = nil
	}()
	if err = c.run(ctx); err == nil {
		err = context.Cause(ctx) // it took too long, and did not notice
	}
}
