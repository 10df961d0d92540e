package compare

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	retrygo "github.com/avast/retry-go/v5"
	"github.com/failsafe-go/failsafe-go"
	failsafebudget "github.com/failsafe-go/failsafe-go/budget"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/stretchr/testify/assert"

	"github.com/observable-go/toolkit/resilience/budget"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// TestRetryBudget has goroutines call a callee that fails every request, with up to 3 retries
// after 10 to 100 ms.
func TestRetryBudget(t *testing.T) {
	for _, c := range []struct {
		name              string
		goroutines, calls int           // of each goroutine
		takes             time.Duration // a request
		from, to          float64       // requests a call
		start             func() func(op func() error) error
	}{
		{failsafeGo + ", delays by chance", 200, 100, time.Millisecond, 3.95, 4, newFailsafeBudget},
		{failsafeGo + ", delays by chance", 2, 500, time.Millisecond, 4, 4, newFailsafeBudget},
		{failsafeGo + ", delays by chance", 200, 100, time.Second, 1.25, 1.45, newFailsafeBudget},
		{failsafeGo + ", fixed delays", 200, 10, time.Millisecond, 2.8, 3.6, newFixedFailsafeBudget},
		{toolkit, 200, 100, time.Millisecond, 1.1, 1.11, newToolkitBudget},
		{toolkit, 2, 500, time.Millisecond, 1.2, 1.25, newToolkitBudget},
		{toolkit, 200, 100, time.Second, 1.1, 1.15, newToolkitBudget},
	} {
		synctest.Test(t, func(t *testing.T) {
			var requests atomic.Int64
			call, start := c.start(), time.Now()
			var wg sync.WaitGroup
			for range c.goroutines {
				wg.Go(func() {
					for range c.calls {
						_ = call(func() error { // all calls fail
							requests.Add(1)
							time.Sleep(c.takes)
							return errDown
						})
					}
				})
			}
			wg.Wait()
			perCall := float64(requests.Load()) / float64(c.goroutines*c.calls)
			assert.GreaterOrEqual(t, perCall, c.from, c.name)
			assert.LessOrEqual(t, perCall, c.to, c.name)
			t.Logf("%s: %d goroutines, %v a request: %.3f requests a call in %v", c.name, c.goroutines, c.takes, perCall, time.Since(start))
		})
	}
}

func newFailsafeBudget() func(op func() error) error {
	policy := retrypolicy.NewBuilder[any]().WithMaxRetries(3).
		WithRandomDelay(10*time.Millisecond, 100*time.Millisecond).WithBudget(failsafebudget.New()).Build()
	return failsafe.With(policy).Run
}

// newFixedFailsafeBudget has the goroutines retry in step.
func newFixedFailsafeBudget() func(op func() error) error {
	policy := retrypolicy.NewBuilder[any]().WithMaxRetries(3).
		WithBackoff(10*time.Millisecond, 100*time.Millisecond).WithBudget(failsafebudget.New()).Build()
	return failsafe.With(policy).Run
}

func newToolkitBudget() func(op func() error) error {
	policy := newPolicy(retry.WithMaxRetries(3), retry.WithInitialDelay(10*time.Millisecond), retry.WithMaxDelay(100*time.Millisecond),
		retry.WithBudget(budget.MustNew("compare", budget.WithTelemetry(telemetry.Off()))))
	return func(op func() error) error {
		return policy.Do(context.Background(), func(context.Context) error { return op() })
	}
}

func TestErrorOfExhaustedBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tight := failsafebudget.NewBuilder().WithMaxRate(0).WithMinConcurrency(0).Build()
		hold := make(chan struct{})
		policy := retrypolicy.NewBuilder[any]().WithBudget(tight).Build()
		go func() { // its retry is in flight
			calls := 0
			_ = failsafe.With(policy).Run(func() error {
				if calls++; calls > 1 {
					<-hold
				}
				return errDown
			})
		}()
		synctest.Wait()
		err := failsafe.With(policy).Run(func() error { return errDown })
		close(hold)
		assert.ErrorIs(t, err, failsafebudget.ErrExceeded)
		assert.NotErrorIs(t, err, errDown)
		t.Logf("%s: the error wraps the last failure: %t", failsafeGo, errors.Is(err, errDown))

		none := budget.MustNew("compare", budget.WithBurst(1), budget.WithFloor(0.001), budget.WithRatio(0), budget.WithTelemetry(telemetry.Off()))
		err = newPolicy(retry.WithBudget(none)).Do(t.Context(), func(context.Context) error { return errDown })
		assert.ErrorIs(t, err, retry.ErrBudgetExhausted)
		assert.ErrorIs(t, err, errDown)
		t.Logf("%s: the error wraps the last failure: %t", toolkit, errors.Is(err, errDown))
	})
}

// TestRetryBucket empties the bucket of retry-go and lets it be, then fills it by successes.
func TestRetryBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		retrier := retrygo.New(retrygo.Attempts(4), retrygo.Delay(10*time.Millisecond),
			retrygo.WithFixedTokenBucketThrottle(retrygo.FixedTokenBucketThrottleConfig{}))
		retries := func(calls, failuresOfEach int) (n int) {
			for range calls {
				requests := 0
				_ = retrier.Do(func() error { // what counts is how often it is called
					if requests++; requests <= failuresOfEach {
						return errDown
					}
					return nil
				})
				n += requests - 1
			}
			return n
		}
		const always = 4
		sent := retries(1000, always)
		assert.Equal(t, 20, sent)
		t.Logf("%s: %d retries of 1000 calls", avastRetryGo, sent)

		time.Sleep(time.Hour)
		assert.Zero(t, retries(1000, always), "time does not fill it")
		assert.Zero(t, retries(4, 0))
		assert.Zero(t, retries(1, always), "4 successes give 4 tokens")
		assert.Zero(t, retries(1, 0))
		assert.Equal(t, 1, retries(1, always), "5 successes give a retry")
		assert.Zero(t, retries(5, 0))
		assert.Equal(t, 10, retries(10, 1), "a retry that succeeds pays for the next")
		t.Logf("%s: no retry an hour later, one after 5 successes", avastRetryGo)
	})
}
