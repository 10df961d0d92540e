package retryredis_test

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/redis/go-redis/v9"

	"github.com/observable-go/toolkit/contrib/retryredis"
	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/budget"
	"github.com/observable-go/toolkit/resilience/retry"
)

func ExampleInstrument() {
	retries := budget.MustNew("backends", budget.WithBurst(2), budget.WithFloor(0))
	policy := retry.MustNew("redis",
		retry.WithBudget(retries), // also that of the policies for other callees
		retry.WithBackoff(backoff.Constant{}),
	)
	client := redis.NewClient(retryredis.WithoutRetries(&redis.Options{
		Addr: "127.0.0.1:1", // where nobody listens
	}))
	defer client.Close()
	redis.SetLogger(quiet{})
	if err := retryredis.Instrument(client, policy); err != nil {
		fmt.Println(err)
		return
	}
	for range 2 {
		err := client.Incr(context.Background(), "visits").Err()
		if gaveUp, ok := errors.AsType[*retry.Error](err); ok {
			fmt.Printf("%d attempts: %v\n", gaveUp.Attempts, gaveUp.Reason)
		}
	}
	// Output:
	// 3 attempts: the retry budget is exhausted
	// 1 attempts: the retry budget is exhausted
}

func ExampleIdempotent() {
	ctx := context.Background()
	for _, cmd := range []redis.Cmder{
		redis.NewCmd(ctx, "get", "k"),
		redis.NewCmd(ctx, "set", "k", "v", "ex", 60),
		redis.NewCmd(ctx, "set", "k", "v", "nx"),
		redis.NewCmd(ctx, "incr", "k"),
	} {
		fmt.Println(cmd.Args(), retryredis.Idempotent(cmd))
	}
	// Output:
	// [get k] true
	// [set k v ex 60] true
	// [set k v nx] false
	// [incr k] false
}

// quiet is a logger of go-redis that keeps the dials of the example to itself.
type quiet struct{}

func (quiet) Printf(_ context.Context, format string, v ...any) {
	fmt.Fprintf(io.Discard, format, v...)
}
