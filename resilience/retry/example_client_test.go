package retry_test

import (
	"context"
	"fmt"
	"syscall"

	"github.com/observable-go/toolkit/resilience/retry"
)

// WarehouseClient retries its methods by the rules of the Client that it embeds.
type WarehouseClient struct {
	retry.Client
	calls int
}

func NewWarehouseClient(opts ...retry.Option) (*WarehouseClient, error) {
	client, err := retry.NewClient("warehouse", opts...)
	return &WarehouseClient{Client: client}, err
}

// Stock is counted in telemetry as "warehouse.stock".
func (c *WarehouseClient) Stock(ctx context.Context, item string) (int, error) {
	return retry.DoValue(ctx, c.Operation("stock"), func(ctx context.Context) (int, error) {
		if c.calls++; c.calls == 1 {
			return 0, syscall.ECONNREFUSED
		}
		return 12, nil
	})
}

// Reserve has no value.
func (c *WarehouseClient) Reserve(ctx context.Context, item string) error {
	return c.Retry(ctx, "reserve", func(ctx context.Context) error { return nil })
}

// A client of a service embeds a Client.
func ExampleClient() {
	warehouse, err := NewWarehouseClient(retry.WithMaxRetries(5), retry.WithInitialDelay(0))
	if err != nil {
		fmt.Println(err)
		return
	}

	ctx := context.Background()
	fmt.Println(warehouse.Stock(ctx, "bicycle"))
	fmt.Println(warehouse.Reserve(ctx, "bicycle"))
	fmt.Println(warehouse.Operation("stock").Name())
	// Output:
	// 12 <nil>
	// <nil>
	// warehouse.stock
}
