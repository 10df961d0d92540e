package retry_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/retry"
)

// Poll waits until a job is done. A status of "running" is no failure.
func ExamplePoll() {
	policy := retry.MustNew("job.status",
		retry.WithInitialDelay(time.Microsecond),
		retry.WithMaxDelay(time.Millisecond),
	)

	states := []string{"queued", "running", "running", "done"}
	state, err := retry.Poll(context.Background(), policy, func(ctx context.Context) (string, bool, error) {
		state := states[0]
		states = states[1:]
		return state, state == "done", nil
	})
	fmt.Println(state, err)
	// Output: done <nil>
}

// The context bounds the polling: a wait that would outlast it is not begun. The value
// of the last call comes beside the error.
func ExamplePoll_deadline() {
	policy := retry.MustNew("job.status",
		retry.WithInitialDelay(time.Hour),
		retry.WithMaxDelay(time.Hour),
		retry.WithJitter(backoff.NoJitter),
	)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	state, err := retry.Poll(ctx, policy, func(ctx context.Context) (string, bool, error) {
		return "running", false, nil
	})
	fmt.Println(errors.Is(err, retry.ErrDeadline), state)
	// Output: true running
}
