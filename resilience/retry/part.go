package retry

import (
	"context"
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

// warnIfNested tells, once, that the policy is about to retry within a retry: what
// [resilience.Check] finds in a chain happens here by calls within calls.
func (p *Policy) warnIfNested(ctx context.Context) {
	outer := resilience.AttemptFrom(ctx)
	if outer == nil || p.tel == nil || p.shared.nested.Swap(true) {
		return
	}
	p.Warn(ctx, resilience.Problem{
		Reason: resilience.NestedRetries,
		Detail: fmt.Sprintf("retry %q was about to retry within attempt %d of %q: their attempts multiply; keep one of them",
			p.name, outer.Number, outer.Policy),
	})
}
