package retry

import (
	"context"
	"errors"
	"fmt"

	"github.com/observable-go/toolkit/resilience"
)

var _ resilience.Part = (*Policy)(nil)

// Describe implements [resilience.Part].
func (p *Policy) Describe() resilience.Description {
	d := resilience.Description{Kind: "retry", Name: p.Name()}
	if p == nil {
		return d
	}
	r := p.shared.rules.Load()
	d.Repeats = r.max > 1
	d.AttemptTimeout = r.AttemptTimeout
	d.FirstDelay = r.backoff.Delay(0, 0, meanChance)
	return d
}

// meanChance gives the mean of a delay that is drawn uniformly.
const meanChance = 0.5

// Warn implements [resilience.Part].
func (p *Policy) Warn(ctx context.Context, problem resilience.Problem) {
	if p != nil {
		p.tel.Warn(ctx, problem.Reason, problem.Detail)
	}
}

// What [resilience.Check] finds in a chain is also told, once, where it happens by calls
// within calls.

// warnOfOuter tells that the policy is about to retry within a retry of an outer one.
func (p *Policy) warnOfOuter(ctx context.Context) {
	if outer := resilience.AttemptFrom(ctx); outer != nil && !outer.Remote {
		p.warnOncef(ctx, "retry %q was about to retry within attempt %d of %q", p.name, outer.Number, outer.Policy)
	}
}

// warnOfInner tells that an attempt was retried by an inner policy, if err is the error of
// one that made retries.
func (p *Policy) warnOfInner(ctx context.Context, err error) {
	if inner, ok := errors.AsType[*Error](err); ok && inner.Attempts > 1 {
		p.warnOncef(ctx, "an attempt of retry %q had been made %d times by retry %q", p.name, inner.Attempts, inner.Policy)
	}
}

func (p *Policy) warnOncef(ctx context.Context, format string, args ...any) {
	if p.tel != nil && !p.shared.nested.Swap(true) {
		p.Warn(ctx, resilience.Problem{
			Reason: resilience.NestedRetries,
			Detail: fmt.Sprintf(format, args...) + ": their attempts multiply; keep one of them",
		})
	}
}
