package retry

import (
	"context"

	"github.com/observable-go/toolkit/resilience"
)

// A Client is embedded in a client of a service, whose methods it retries. Each
// operation has a name of its own in telemetry; the rules, the budget and updates are
// those of one policy.
//
//	type Inventory struct {
//		retry.Client
//		http *http.Client
//	}
//
//	func NewInventory() (*Inventory, error) {
//		client, err := retry.NewClient("inventory", retry.WithMaxRetries(5))
//		if err != nil {
//			return nil, err
//		}
//		return &Inventory{Client: client, http: http.DefaultClient}, nil
//	}
//
//	func (c *Inventory) Get(ctx context.Context, id string) (Item, error) {
//		return retry.DoValue(ctx, c.Operation("get"), func(ctx context.Context) (Item, error) {
//			return c.get(ctx, id)
//		})
//	}
//
// Embedding makes its methods part of the client's own; a field keeps them inside. A
// Client is safe for use by several goroutines at once and may be copied. The zero
// Client runs operations once.
type Client struct{ policy *Policy }

// NewClient returns a Client with a policy of that name. The arguments are those of
// [New].
func NewClient(name string, opts ...Option) (Client, error) {
	p, err := New(name, opts...)
	return Client{p}, err
}

// Policy returns the client's policy.
func (c Client) Policy() *Policy { return c.policy }

// Operation returns the client's policy under the name of an operation: "get" of the
// client "inventory" is "inventory.get".
func (c Client) Operation(name string) *Policy {
	if c.policy == nil {
		return nil
	}
	operations := &c.policy.shared.operations
	if p := operations.get(name); p != nil {
		return p
	}
	return operations.add(name, Named(c.policy, c.policy.name+"."+name))
}

// Retry runs op under the policy of that operation.
func (c Client) Retry(ctx context.Context, operation string, op resilience.Operation) error {
	return c.Operation(operation).Do(ctx, op)
}
