package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience/telemetry"
)

// failAt makes a call in trouble that ends then.
func failAt(ctx context.Context, r *telemetry.Retry, ended time.Time, err error) {
	_, call := r.Begin(ctx, 2)
	f := telemetry.Failure{Number: 1, Err: err, ErrorType: "refused", Ended: ended}
	call.AttemptFailed(&f)
	call.RetryScheduled(&f, time.Second, false)
	call.End(&telemetry.RetryEnd{Outcome: telemetry.OutcomeDeadline, Attempts: 1, Ended: ended}, &f)
}

// A clock that was set back does not keep calls from being shown until it has caught up.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	provider := newWatched(t)
	r := newRetry(t, "a", provider)
	now := time.Now()
	for i := range 8 {
		failAt(t.Context(), r, now.Add(time.Hour+time.Duration(i)*time.Second), fmt.Errorf("later %d", i))
	}
	failAt(t.Context(), r, now, fmt.Errorf("now"))
	calls, dropped := telemetry.ReadLive(provider).Policies[0].Troubled()
	assert.Zero(t, dropped)
	require.Len(t, calls, 8)
	require.Len(t, calls[0].Timeline, 1, "the attempt is there once")
	assert.Equal(t, "now", calls[0].Timeline[0].Error)
	assert.True(t, calls[0].Timeline[0].Retried)
}

// However many troubles there are, what is kept is bounded, and the first ones stay apart.
func TestManyTroubles(t *testing.T) {
	t.Parallel()
	provider := newWatched(t)
	r := newRetry(t, "a", provider)
	now := time.Now()
	var group sync.WaitGroup
	for i := range 100 {
		group.Go(func() {
			for range 10 {
				_, call := r.Begin(t.Context(), 1)
				f := telemetry.Failure{Number: 1, Err: errors.New("x"), ErrorType: fmt.Sprint("type ", i), Ended: now}
				call.AttemptFailed(&f)
				call.End(&telemetry.RetryEnd{Outcome: telemetry.OutcomeExhausted, Attempts: 1, Ended: now}, &f)
			}
		})
	}
	group.Wait()
	calls, dropped := telemetry.ReadLive(provider).Policies[0].Troubled()
	assert.EqualValues(t, 1000, int64(len(calls))+dropped)
	assert.LessOrEqual(t, len(calls), 17*8)
	types := map[string]bool{}
	for _, c := range calls {
		types[c.Timeline[0].ErrorType] = true
	}
	assert.GreaterOrEqual(t, len(types), 16)
}

// What is kept of a call keeps neither its error nor its context.
func TestKeptCallsAreSmall(t *testing.T) {
	t.Parallel()
	provider := newWatched(t)
	r := newRetry(t, "a", provider)
	gone := make(chan string, 2)
	func() {
		type key struct{}
		large := new([1 << 20]byte)
		runtime.AddCleanup(large, func(what string) { gone <- what }, "context")
		err := &largeError{}
		runtime.AddCleanup(err, func(what string) { gone <- what }, "error")
		failAt(context.WithValue(t.Context(), key{}, large), r, time.Now(), err)
	}()
	require.Eventually(t, func() bool { runtime.GC(); return len(gone) == 2 }, 10*time.Second, time.Millisecond)
	calls, _ := telemetry.ReadLive(provider).Policies[0].Troubled()
	require.Len(t, calls, 1)
	assert.Equal(t, "large", calls[0].Timeline[0].Error)
}

type largeError struct{ _ [1 << 20]byte }

func (*largeError) Error() string { return "large" }
