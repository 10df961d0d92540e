package retry_test

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/retry"
)

// Checkout is code of a user: it calls a service and retries.
type Checkout struct {
	policy *retry.Policy
	pay    func(ctx context.Context) error
}

func (c *Checkout) Pay(ctx context.Context) error { return c.policy.Do(ctx, c.pay) }

// TestCheckoutSurvivesRestart shows how code that retries is tested: in a bubble of
// testing/synctest time passes as soon as every goroutine waits, so the test takes no
// time, and the waits are exact.
func TestCheckoutSurvivesRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		checkout := &Checkout{
			policy: retry.MustNew("payment.pay", retry.WithJitter(backoff.NoJitter)),
			pay: func(ctx context.Context) error {
				if time.Since(start) < 2500*time.Millisecond { // the service restarts
					return syscall.ECONNREFUSED
				}
				return nil
			},
		}

		if err := checkout.Pay(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != 3*time.Second { // 1 s, then 2 s
			t.Errorf("paid after %v, want 3s", took)
		}
	})
}

// TestCheckoutKeepsDeadline shows that a wait which would outlast the deadline is not
// begun: the caller hears of the failure while it can still act.
func TestCheckoutKeepsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		checkout := &Checkout{
			policy: retry.MustNew("payment.pay", retry.WithJitter(backoff.NoJitter)),
			pay:    func(ctx context.Context) error { return syscall.ECONNREFUSED },
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()

		start := time.Now()
		err := checkout.Pay(ctx)
		if !errors.Is(err, retry.ErrDeadline) || !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(start); took != time.Second { // the second wait, of 2 s, does not fit
			t.Errorf("failed after %v, want 1s", took)
		}
	})
}
