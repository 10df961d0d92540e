package resilience

import (
	"context"
	"errors"
	"sync/atomic"
)

// Chain composes policies into one, outermost first: Chain(a, b).Do(ctx, op) is
// a.Do(ctx, b.Do(·, op)). Nil policies are skipped and chains are flattened, so a
// stage can be left out without an if. Chain() runs the operation once.
//
// The order that serves most callers is
//
//	total timeout, retry, rate limit, circuit breaker, bulkhead, attempt timeout
//
// A call through a chain allocates the same small amount whatever its length. In
// return each stage must keep the promise of [Policy]: one call of the operation
// at a time, and none that still runs when Do returns. If a stage returns while
// inner stages still run, the call ends with a refusal that says so.
//
// An order that is known to be wrong, as [Check] has them, is told to telemetry on the
// first use, as an event and a metric of the outermost part.
func Chain(policies ...Policy) Policy {
	stages := flatten(policies)
	switch len(stages) {
	case 0:
		return once
	case 1:
		return stages[0]
	}
	return &chain{stages, newWarning(stages)}
}

// flatten returns the policies without nils and with the stages of chains in their place.
func flatten(policies []Policy) (stages []Policy) {
	for _, p := range policies {
		switch p := p.(type) {
		case nil:
		case *chain:
			stages = append(stages, p.stages...)
		default:
			stages = append(stages, p)
		}
	}
	return stages
}

// chain is two policies or more, outermost first.
type chain struct {
	stages  []Policy
	warning *warning // nil if the order is right
}

func (c *chain) Do(ctx context.Context, op Operation) error {
	if op == nil {
		return errNoOperation
	}
	c.warning.tell(ctx, c.stages)
	d := descent{stages: c.stages, op: op}
	d.step = d.down
	return d.down(ctx)
}

// WithName renames every stage that can be renamed.
func (c *chain) WithName(operation string) Policy {
	named := &chain{make([]Policy, len(c.stages)), c.warning}
	for i, p := range c.stages {
		named.stages[i] = Named(p, operation)
	}
	return named
}

// descent is one call on its way through a chain. As policies run their operation
// one call at a time, a depth says which stage is next, and a single func value
// serves as the operation of every stage: that is what keeps the allocations of
// a call independent of the chain's length.
type descent struct {
	stages []Policy
	op     Operation
	step   Operation // d.down, bound once
	// depth is broken once the call is over or a stage has broken its promise: it is not
	// to be trusted any more. It is atomic for the sake of what that stage left behind.
	depth atomic.Int64
}

const broken = -1

var errBroken = Refused(errors.New("resilience: a stage of the chain returned while its operation was still running"))

func (d *descent) down(ctx context.Context) (err error) {
	depth := d.depth.Load()
	switch depth {
	case broken:
		return errBroken
	case int64(len(d.stages)):
		return d.op(ctx)
	}
	d.depth.Store(depth + 1)
	defer d.up(depth, &err) // deferred, as an outer stage may recover a panic and call again
	return d.stages[depth].Do(ctx, d.step)
}

func (d *descent) up(depth int64, err *error) {
	next := depth
	if depth == 0 { // the call is over: what was left behind must not begin another
		next = broken
	}
	if !d.depth.CompareAndSwap(depth+1, next) {
		d.depth.Store(broken)
		*err = errors.Join(*err, errBroken)
	}
}

// A Namer is a policy that can work under another name. Its rules and the state
// behind them (budgets, breakers, later updates) stay shared with the original.
type Namer interface {
	WithName(operation string) Policy
}

// Named returns p under the name of the operation that it runs, so that telemetry
// tells operations apart while the rules stay in one place. It reaches through
// [Chain]. A policy that is no [Namer] is returned as it is.
//
//	client := resilience.Chain(retry, breaker)
//	search := resilience.Named(client, "similarity_search")
func Named(p Policy, operation string) Policy {
	if n, ok := p.(Namer); ok {
		return n.WithName(operation)
	}
	return p
}
