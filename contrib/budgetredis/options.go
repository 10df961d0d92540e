package budgetredis

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/resilience/budget"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// Defaults of a new budget, for all replicas together, and of its exchanges with Redis.
const (
	DefaultRatio   = budget.DefaultRatio
	DefaultFloor   = budget.DefaultFloor
	DefaultBurst   = budget.DefaultBurst
	DefaultBatch   = 10
	DefaultRefresh = time.Second
	DefaultLease   = 5 * time.Second
	DefaultTimeout = 500 * time.Millisecond
)

// Bounds of the options.
const (
	MaxBurst = 1_000_000_000
	MaxFloor = 1e6
	MaxBatch = 1_000_000
)

// An Option changes a setting of a new budget. All replicas should use the same ones.
type Option func(*settings)

type settings struct {
	ratio, floor float64
	burst, batch int
	batchSet     bool

	refresh, lease, timeout time.Duration

	prefix    string
	local     *budget.Budget
	clock     clock.Clock
	telemetry []telemetry.Option
}

func defaults() settings {
	return settings{
		ratio: DefaultRatio, floor: DefaultFloor, burst: DefaultBurst,
		refresh: DefaultRefresh, lease: DefaultLease, timeout: DefaultTimeout, prefix: "resilience:budget:",
	}
}

// WithRatio sets how many retries each call of any replica allows: 0 to 1, 0.1 by default.
func WithRatio(retriesPerCall float64) Option { return func(s *settings) { s.ratio = retriesPerCall } }

// WithFloor sets how many retries each second allows to all replicas together, whatever the
// calls: 0 to [MaxFloor], 1 by default.
func WithFloor(retriesPerSecond float64) Option {
	return func(s *settings) { s.floor = retriesPerSecond }
}

// WithBurst sets how many retries a full budget holds for all replicas together: 1 to
// [MaxBurst], 100 by default.
func WithBurst(retries int) Option { return func(s *settings) { s.burst = retries } }

// WithBatch sets how many tokens a replica holds at most: 1 to [MaxBatch] and no more than the
// burst, 10 or a smaller burst by default. A
// larger one serves sudden needs at once and asks Redis less often; a smaller one leaves
// more to the other replicas.
func WithBatch(tokens int) Option {
	return func(s *settings) { s.batch, s.batchSet = tokens, true }
}

// WithRefresh sets how often a replica exchanges with Redis: 10 ms to 1 min, 1 s by default.
// One whose tokens are gone asks again after a tenth of that.
func WithRefresh(d time.Duration) Option { return func(s *settings) { s.refresh = d } }

// WithLease sets for how long a replica may spend a token: more than twice the refresh and
// up to 10 min, 5 s by default. After so long without Redis the budget leaves its shared mode.
func WithLease(d time.Duration) Option { return func(s *settings) { s.lease = d } }

// WithTimeout sets how long an exchange may take: 1 ms to 1 min and less than the lease, 500 ms
// by default. A client obeys it if its options have ContextTimeoutEnabled; another may wait
// longer for a Redis that hangs, by its own timeouts, which delays the return to it.
func WithTimeout(d time.Duration) Option { return func(s *settings) { s.timeout = d } }

// WithLocal lets a budget of this process decide while Redis is not there. Its ratio, floor
// and burst should be this replica's share of those of all, and its name another one. By
// default, or if it is nil, no retry is granted then.
func WithLocal(b *budget.Budget) Option { return func(s *settings) { s.local = b } }

// WithKeyPrefix sets what the key in Redis begins with: "resilience:budget:" by default.
func WithKeyPrefix(prefix string) Option { return func(s *settings) { s.prefix = prefix } }

// WithTelemetry changes what the budget emits. Several of these options add up.
func WithTelemetry(opts ...telemetry.Option) Option {
	return func(s *settings) { s.telemetry = append(s.telemetry, opts...) }
}

// WithClock runs the budget on another clock than the real one. It is for the simulators of
// this project. A nil clock is the real one.
func WithClock(c clock.Clock) Option { return func(s *settings) { s.clock = c } }

// without returns the mode of the budget while Redis is not there.
func (s *settings) without() Mode {
	if s.local != nil {
		return Local
	}
	return Closed
}

// complete sets the defaults that depend on other settings.
func (s *settings) complete() {
	if !s.batchSet {
		s.batch = min(DefaultBatch, max(s.burst, 1))
	}
}

func (s *settings) validate(client redis.Scripter, name string) error {
	if err := telemetry.ValidateName(name); err != nil {
		return fmt.Errorf("budgetredis: %w", err)
	}
	var field, want string
	var value any
	switch {
	case isNil(client):
		field, value, want = "client", nil, "a client of go-redis"
	case !(s.ratio >= 0 && s.ratio <= 1) || tooFine(s.ratio):
		field, value, want = "ratio", s.ratio, "0, or 0.000001 to 1 retries a call"
	case !(s.floor >= 0 && s.floor <= MaxFloor) || tooFine(s.floor):
		field, value, want = "floor", s.floor, "0, or 0.000001 to 1000000 retries a second"
	case s.ratio == 0 && s.floor == 0:
		field, value, want = "ratio and floor", 0, "one of them above 0, as the budget would never refill"
	case s.burst < 1 || s.burst > MaxBurst:
		field, value, want = "burst", s.burst, fmt.Sprintf("1 to %d retries", MaxBurst)
	case s.batch < 1 || s.batch > MaxBatch || s.batch > s.burst:
		field, value, want = "batch", s.batch, fmt.Sprintf("1 to %d tokens, and no more than the burst of %d", MaxBatch, s.burst)
	case s.refresh < 10*time.Millisecond || s.refresh > time.Minute:
		field, value, want = "refresh", s.refresh, "10ms to 1m0s"
	case s.lease <= 2*s.refresh || s.lease > 10*time.Minute:
		field, value, want = "lease", s.lease, fmt.Sprintf("more than twice the refresh of %v, to 10m0s", s.refresh)
	case s.local != nil && s.local.Name() == name:
		field, value, want = "local", strconv.Quote(name), "a budget with another name, as metrics would count its retries twice"
	case s.timeout < time.Millisecond || s.timeout > time.Minute || s.timeout >= s.lease:
		field, value, want = "timeout", s.timeout, fmt.Sprintf("1ms to 1m0s, and less than the lease of %v", s.lease)
	default:
		return nil
	}
	return fmt.Errorf("budgetredis: %q: %s: %v is not allowed: want %s", name, field, value, want)
}

// isNil reports whether there is no client, also as a nil pointer to one.
func isNil(client redis.Scripter) bool {
	if client == nil {
		return true
	}
	v := reflect.ValueOf(client)
	return v.Kind() == reflect.Pointer && v.IsNil()
}

// tooFine reports whether a number is above 0 and less than the fixed point can hold.
func tooFine(x float64) bool { return x > 0 && math.Round(x*token) == 0 }
