package retry

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// A Policy retries operations that fail. Make one for each callee, or for each
// operation of a callee, keep it, and share it: it is safe for use by several
// goroutines at once, and keeps nothing of a call. A nil *Policy runs an operation
// once.
type Policy struct {
	name   string
	tel    *telemetry.Retry // nil if off
	shared *shared
}

var _ interface {
	resilience.Policy
	resilience.Namer
} = (*Policy)(nil)

// shared is what a policy has in common with those that are named after it.
type shared struct {
	rules   atomic.Pointer[rules]
	classes resilience.Rules
	backoff backoff.Backoff   // in place of that of the config, or nil
	learns  observer          // the backoff, if it wants to be told of attempts, or nil
	budget  resilience.Budget // nil: no cap
	onRetry func(context.Context, Retry)
	clock   clock.Clock
	nested  atomic.Bool // it was told that retries are nested

	named      policies // by name
	operations policies // of a Client, by operation: saves it making the full name
}

// An observer is a backoff that learns from attempts.
type observer interface {
	Observe(class resilience.Class, throttled bool)
}

// rules is a Config made ready for use. They are never changed: an Update replaces
// them, and a call keeps those with which it began.
type rules struct {
	Config
	max     int // attempts
	backoff backoff.Backoff
	timeout error // the cause of an attempt's end by AttemptTimeout
	// plain: a first attempt needs neither a timeout nor the time at which it began.
	plain bool
}

// New returns a policy. The name says in telemetry whose retries these are: 1 to 128
// bytes of printable UTF-8, best short, stable and one of few, as "inventory.get".
//
// Without options it makes up to 3 retries, after 1 s, 2 s and 4 s at most, with full
// jitter, of known transient failures and of errors that ask for it.
func New(name string, opts ...Option) (*Policy, error) {
	if err := telemetry.ValidateName(name); err != nil {
		return nil, fmt.Errorf("retry: %w", err)
	}
	var s settings
	for _, opt := range opts {
		if opt == nil {
			continue
		}
		if err := opt(&s); err != nil {
			return nil, fmt.Errorf("retry: policy %q: %w", name, err)
		}
	}
	p := &Policy{name: name, shared: &shared{
		classes: s.classes, backoff: s.backoff, budget: s.budget, onRetry: s.onRetry, clock: s.clock,
	}}
	p.shared.learns, _ = s.backoff.(observer)
	if err := p.Update(s.config); err != nil {
		return nil, err
	}
	tel, err := telemetry.NewRetry(name, s.telemetry...)
	if err != nil {
		return nil, fmt.Errorf("retry: policy %q: %w", name, err)
	}
	p.tel = tel
	p.shared.named.add(name, p)
	return p, nil
}

// MustNew is [New] for package variables: it panics where New returns an error.
func MustNew(name string, opts ...Option) *Policy {
	p, err := New(name, opts...)
	if err != nil {
		panic(err)
	}
	return p
}

// Do implements [resilience.Policy]. Use [DoValue] for operations with a value.
//
// It returns nil if an attempt succeeded. If the policy wanted to retry but could not,
// it returns an [*Error] that wraps the last failure and the reason. A failure that
// must not be retried is returned unchanged, unless the context has ended and may have
// caused it.
func (p *Policy) Do(ctx context.Context, op resilience.Operation) error {
	if op == nil {
		return errNoOperation
	}
	_, err := DoValue(ctx, p, func(ctx context.Context) (struct{}, error) { return struct{}{}, op(ctx) })
	return err
}

// Update replaces the policy's Config: zero fields take their defaults, and NoRetries
// switches retries off. Calls that have begun end under the rules with which they
// began. The Config is shared with all policies that [Named] made of one. If c is not
// allowed nothing changes.
func (p *Policy) Update(c Config) error {
	if p == nil {
		return errNilPolicy
	}
	if err := c.Validate(); err != nil {
		return fmt.Errorf("retry: policy %q: %w", p.name, err)
	}
	p.shared.rules.Store(newRules(c, p.shared.backoff))
	return nil
}

func newRules(c Config, custom backoff.Backoff) *rules {
	c = c.withDefaults()
	r := &rules{Config: c, max: c.MaxRetries + 1, backoff: custom}
	if r.backoff == nil {
		r.backoff = backoff.Exponential{
			Initial: c.InitialDelay, Max: c.MaxDelay, Base: c.ExponentialBase, Jitter: c.Jitter,
		}
	}
	r.timeout = &attemptTimeoutError{c.AttemptTimeout}
	r.plain = c.AttemptTimeout == 0 && c.MaxElapsed == 0
	return r
}

// Config returns the Config in force, defaults filled in. A MaxPushback of 0 follows
// MaxDelay unless it was set.
func (p *Policy) Config() Config {
	if p == nil {
		c := Config{explicit: setMaxRetries}
		return c.withDefaults()
	}
	return p.shared.rules.Load().Config
}

// Budget returns the budget that caps the policy's retries, or nil if none does.
func (p *Policy) Budget() resilience.Budget {
	if p == nil {
		return nil
	}
	return p.shared.budget
}

// Name returns the policy's name.
func (p *Policy) Name() string {
	if p == nil {
		return ""
	}
	return p.name
}

// Classify returns the class that the policy gives to err: it retries
// resilience.ClassRetryable. A breaker that is to share the policy's opinion takes it
// as its classifier.
func (p *Policy) Classify(err error) resilience.Class {
	if p == nil {
		return resilience.Classify(err)
	}
	return p.shared.classes.Classify(err)
}

// Named returns p under the name of an operation: the same rules and budget, with
// telemetry of its own. An Update of either is one of both. Named may be called for
// each call: it returns the same policy for the same operation, as long as there are no
// more than telemetry.MaxNames of them. Of a name that New would not allow it takes what
// is printable in the first 128 bytes.
func Named(p *Policy, operation string) *Policy {
	if p == nil || operation == p.name || strings.TrimSpace(operation) == "" {
		return p
	}
	if named := p.shared.named.get(operation); named != nil {
		return named
	}
	name := telemetry.CleanName(operation) // it may come from anywhere
	return p.shared.named.add(operation, &Policy{name: name, tel: p.tel.Named(name), shared: p.shared})
}

// WithName is [Named] for [resilience.Named].
func (p *Policy) WithName(operation string) resilience.Policy { return Named(p, operation) }

// policies is a map that is read without a lock and replaced for every policy that is
// added, of which there are few.
type policies struct {
	mu    sync.Mutex
	known atomic.Pointer[map[string]*Policy]
}

func (m *policies) get(key string) *Policy {
	if known := m.known.Load(); known != nil {
		return (*known)[key]
	}
	return nil
}

// add keeps p, unless there is one already or there are too many, and returns the one
// to use.
func (m *policies) add(key string, p *Policy) *Policy {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := make(map[string]*Policy)
	if known := m.known.Load(); known != nil {
		if there := (*known)[key]; there != nil || len(*known) >= telemetry.MaxNames {
			return cmp.Or(there, p)
		}
		maps.Copy(next, *known)
	}
	next[key] = p
	m.known.Store(&next)
	return p
}
