package retry_test

import (
	"context"
	"fmt"
	"syscall"

	"github.com/observable-go/toolkit/resilience/retry"
)

// The body of the loop is the operation. It reports in err how the attempt went, and
// may use the variables around it.
func ExamplePolicy_Attempts() {
	policy := retry.MustNew("queue.handle", retry.WithInitialDelay(0))

	var err error
	handled := 0
	for ctx := range policy.Attempts(context.Background(), &err) {
		handled++
		err = handleMessage(ctx, handled)
	}
	fmt.Println(handled, err)
	// Output: 2 <nil>
}

func handleMessage(_ context.Context, attempt int) error {
	if attempt == 1 {
		return syscall.ECONNREFUSED
	}
	return nil
}
