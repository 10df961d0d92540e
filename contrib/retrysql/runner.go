package retrysql

import (
	"context"

	"github.com/observable-go/toolkit/resilience"
)

// A Runner runs transactions and statements under a policy. It is safe for use by several
// goroutines at once. A nil *Runner runs everything once, with the default settings.
type Runner struct {
	policy   resilience.Policy
	settings settings
}

// New returns a runner of transactions and statements under policy. A nil policy runs them
// once.
func New(policy resilience.Policy, opts ...Option) (*Runner, error) {
	r := &Runner{policy: policy}
	for _, opt := range opts {
		if opt == nil {
			continue
		}
		if err := opt(&r.settings); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// MustNew is [New] for package variables: it panics where New returns an error.
func MustNew(policy resilience.Policy, opts ...Option) *Runner {
	r, err := New(policy, opts...)
	if err != nil {
		panic(err)
	}
	return r
}

// rules returns the settings of r.
func (r *Runner) rules() *settings {
	if r == nil {
		return &settings{}
	}
	return &r.settings
}

// do runs op under the policy of r.
func do[T any](ctx context.Context, r *Runner, op func(context.Context) (T, error)) (value T, err error) {
	switch {
	case ctx == nil:
		return value, errNoContext
	case r == nil:
		return op(ctx)
	}
	return resilience.DoValue(ctx, r.policy, op)
}
