package budgetredis_test

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/observable-go/toolkit/contrib/budgetredis"
	"github.com/observable-go/toolkit/resilience/budget"
	"github.com/observable-go/toolkit/resilience/retry"
)

// All replicas of the service share the budget by its name. While Redis is not there, each of
// about 50 replicas decides by a fiftieth of it.
func Example() {
	client := redis.NewClient(&redis.Options{Addr: "redis:6379", ContextTimeoutEnabled: true})
	defer func() { _ = client.Close() }()
	share := budget.MustNew("inventory.local", budget.WithFloor(0.2), budget.WithBurst(4))
	retries, err := budgetredis.New(client, "inventory",
		budgetredis.WithFloor(10), budgetredis.WithBurst(200), budgetredis.WithLocal(share))
	if err != nil {
		panic(err)
	}
	defer func() { _ = retries.Close() }()

	get := retry.MustNew("inventory.get", retry.WithBudget(retries))
	_ = get.Do(context.Background(), func(context.Context) error { return nil })

	fmt.Println(retries.Mode(), retries.Capacity())
	// Output: local 4
}
