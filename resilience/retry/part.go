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

// warnIfNested tells, once, that there are retries within retries: that the policy makes
// them within those of an outer one, or that err is that of an inner one which made some.
// What [resilience.Check] finds in a chain happens here by calls within calls.
func (p *Policy) warnIfNested(ctx context.Context, err error) {
	outer := resilience.AttemptFrom(ctx)
	inner, _ := errors.AsType[*Error](err)
	if p.tel == nil || outer == nil && (inner == nil || inner.Attempts < 2) || p.shared.nested.Swap(true) {
		return
	}
	detail := "their attempts multiply; keep one of them"
	if outer != nil {
		detail = fmt.Sprintf("retry %q was about to retry within attempt %d of %q: %s", p.name, outer.Number, outer.Policy, detail)
	} else {
		detail = fmt.Sprintf("an attempt of retry %q had been made %d times by retry %q: %s", p.name, inner.Attempts, inner.Policy, detail)
	}
	p.Warn(ctx, resilience.Problem{Reason: resilience.NestedRetries, Detail: detail})
}
