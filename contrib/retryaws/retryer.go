package retryaws

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// A Retryer decides on the retries of AWS clients. Make one for all clients, or one for each
// service with a shared budget, and [Retryer.Install] it. It keeps nothing of a call and is
// safe for use by several goroutines and clients at once.
//
// It is an [aws.RetryerV2], and may be set as the Retryer of a client alone, without its
// middleware. Then it caps retries and tells of none: it has no telemetry, a retry that was
// cancelled during its wait is not refunded, the deadline of a context is only seen when it
// has passed, and a call that used up its attempts is no refusal to policies around it.
type Retryer struct {
	name          string
	budget        resilience.Budget // nil: no cap
	classes       resilience.Rules
	throttleDelay *time.Duration
	tel           *telemetry.Retry // nil if off
	rules         atomic.Pointer[rules]
	// granted counts retries that were granted without the middleware and have not begun:
	// so many of the next attempts are no calls that a budget is to be told of.
	granted atomic.Int64
}

var _ aws.RetryerV2 = (*Retryer)(nil)

// New returns a retryer. The name says in telemetry whose retries these are: 1 to 128 bytes
// of printable UTF-8, as "aws" or "aws.s3".
//
// Without options it makes up to 3 retries, after 1 s, 2 s and 4 s at most, with full jitter,
// and no budget caps them.
func New(name string, opts ...Option) (*Retryer, error) {
	if err := telemetry.ValidateName(name); err != nil {
		return nil, fmt.Errorf("retryaws: %w", err)
	}
	var s settings
	for _, opt := range opts {
		if opt == nil {
			continue
		}
		if err := opt(&s); err != nil {
			return nil, fmt.Errorf("retryaws: %w", err)
		}
	}
	r := &Retryer{name: name, budget: s.budget, throttleDelay: s.throttleDelay}
	r.classes.Classifier = func(err error) resilience.Class {
		if s.classifier != nil {
			if class := s.classifier(err); class != resilience.ClassUnknown {
				return class
			}
		}
		return classify(err)
	}
	if err := r.Update(s.config); err != nil {
		return nil, err
	}
	var err error
	if r.tel, err = telemetry.NewRetry(name, s.telemetry...); err != nil {
		return nil, fmt.Errorf("retryaws: %w", err)
	}
	return r, nil
}

// MustNew is [New] for package variables: it panics where New returns an error.
func MustNew(name string, opts ...Option) *Retryer {
	r, err := New(name, opts...)
	if err != nil {
		panic(err)
	}
	return r
}

// Update replaces the Config of [WithConfig] while the service runs. Calls that have begun
// end under the rules with which they began. If c is not allowed nothing changes.
func (r *Retryer) Update(c retry.Config) error {
	next, err := newRules(c, r.throttleDelay)
	if err != nil {
		return fmt.Errorf("retryaws: %w", err)
	}
	r.rules.Store(next)
	return nil
}

// IsErrorRetryable implements [aws.Retryer].
func (r *Retryer) IsErrorRetryable(err error) bool {
	return r.classes.Classify(err) == resilience.ClassRetryable
}

// MaxAttempts implements [aws.Retryer]. It is one more than the MaxRetries of the Config.
func (r *Retryer) MaxAttempts() int { return r.rules.Load().max }

// RetryDelay implements [aws.Retryer]. The delay of a call whose retry [Retryer.GetRetryToken]
// has granted is the one that was chosen then.
func (r *Retryer) RetryDelay(attempt int, opErr error) (time.Duration, error) {
	if c := callIn(opErr); c != nil {
		return c.nextDelay()
	}
	rules := r.rules.Load()
	delay, pushback := rules.delay(attempt, opErr)
	if pushback && delay > rules.maxPushback {
		return 0, &denial{stopPushback}
	}
	return delay, nil
}

// GetRetryToken implements [aws.Retryer]: it grants a retry, or returns an error that says
// why there is none.
func (r *Retryer) GetRetryToken(ctx context.Context, opErr error) (release func(error) error, err error) {
	if c := callOf(ctx); c != nil {
		if stop := c.schedule(opErr); stop != nil {
			return nil, &denial{stop}
		}
		return noRelease, nil
	}
	if !resilience.MayRetry(ctx) {
		return nil, &denial{stopForbidden}
	}
	if r.budget != nil {
		if !r.budget.Withdraw() {
			return nil, &denial{stopBudget}
		}
		r.granted.Add(1)
	}
	return noRelease, nil
}

// GetInitialToken implements [aws.Retryer]. It does nothing: the SDK asks GetAttemptToken.
func (*Retryer) GetInitialToken() (release func(error) error) { return noRelease }

// GetAttemptToken implements [aws.RetryerV2]. It never refuses.
func (r *Retryer) GetAttemptToken(ctx context.Context) (release func(error) error, err error) {
	if r.budget != nil && callOf(ctx) == nil && !r.isGranted() {
		r.budget.Deposit()
	}
	return noRelease, nil
}

// isGranted reports whether the attempt that begins without the middleware stands for a
// retry. It may be another one: only how many there are counts for the budget.
func (r *Retryer) isGranted() bool {
	for {
		n := r.granted.Load()
		if n == 0 {
			return false
		}
		if r.granted.CompareAndSwap(n, n-1) {
			return true
		}
	}
}

func noRelease(error) error { return nil }
