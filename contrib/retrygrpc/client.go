package retrygrpc

import (
	"context"

	"google.golang.org/grpc"

	"github.com/observable-go/toolkit/resilience"
)

// A Client holds the interceptors that run the calls of a connection under a policy. Make one
// with [New], and give its [Client.DialOptions] to [grpc.NewClient].
//
// It is safe for use by several goroutines at once, and may serve several connections.
type Client struct {
	policy resilience.Policy
	settings
}

var (
	_ grpc.UnaryClientInterceptor  = (*Client)(nil).Unary
	_ grpc.StreamClientInterceptor = (*Client)(nil).Stream
)

// New returns a Client that runs each call under p: a *retry.Policy, a stack, any
// [resilience.Policy]. A nil p runs it once.
//
// An invalid option is an error that names it.
func New(p resilience.Policy, opts ...Option) (*Client, error) {
	c := &Client{policy: p, settings: defaults()}
	for _, opt := range opts {
		if opt == nil {
			continue
		}
		if err := opt(&c.settings); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// MustNew is [New] for package variables: it panics where New returns an error.
func MustNew(p resilience.Policy, opts ...Option) *Client {
	c, err := New(p, opts...)
	if err != nil {
		panic(err)
	}
	return c
}

// DialOptions returns what makes a connection run its calls under p, without further options:
//
//	conn, err := grpc.NewClient(target, append(retrygrpc.DialOptions(p), credentials)...)
func DialOptions(p resilience.Policy) []grpc.DialOption {
	return MustNew(p).DialOptions()
}

// DialOptions returns both interceptors, and [grpc.WithDisableRetry]: with it the connection
// ignores the retryPolicy of a service config, whose attempts would multiply with those of the
// policy. Transparent retries of package grpc remain: they repeat what no server has seen.
//
// The interceptors are chained: those of options that stand before are called once a call, those
// of options that stand after once an attempt.
func (c *Client) DialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithChainUnaryInterceptor(c.Unary),
		grpc.WithChainStreamInterceptor(c.Stream),
		grpc.WithDisableRetry(),
	}
}

// policyOf returns the policy for a call of a method.
func (c *Client) policyOf(method string, opts *callOptions) resilience.Policy {
	if opts.overrides {
		return opts.policy
	}
	if p, ok := c.policies[method]; ok {
		return p
	}
	return c.policy
}

// repeatable reports whether the calls of a method may be repeated.
func (c *Client) repeatable(method string, opts *callOptions) bool {
	return opts.overrides || c.methods == nil || c.methods(method)
}

// do runs op under p.
func do(ctx context.Context, p resilience.Policy, op resilience.Operation) error {
	if p == nil {
		return op(ctx)
	}
	return p.Do(ctx, op)
}
