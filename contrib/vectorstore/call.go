package vectorstore

import (
	"context"

	"github.com/observable-go/toolkit/resilience"
)

// do runs a call of Qdrant under the policy of the operation. send is called once an attempt
// and must send the same each time.
func do[T any](ctx context.Context, c *Client, operation string, send func(context.Context) (T, error)) (T, error) {
	return resilience.DoValue(ctx, c.policies[operation], func(ctx context.Context) (T, error) {
		heard := new(answer)
		value, err := send(context.WithValue(ctx, answerKey{}, heard))
		return value, heard.failure(err)
	})
}
