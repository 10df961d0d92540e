package timeout_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/observable-go/toolkit/resilience/timeout"
)

func ExampleDoValue() {
	limit := timeout.MustNew("inventory", time.Millisecond)
	_, err := timeout.DoValue(context.Background(), limit, func(ctx context.Context) (string, error) {
		<-ctx.Done() // as a client does whose server does not answer
		return "", ctx.Err()
	})
	fmt.Println(err)
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	// Output:
	// inventory: timed out after 1ms: context deadline exceeded
	// true
}
