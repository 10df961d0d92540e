package compare

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	retrygo "github.com/avast/retry-go/v5"
	cenkalti "github.com/cenkalti/backoff/v5"
	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	goretry "github.com/sethvargo/go-retry"
	"github.com/stretchr/testify/assert"
)

// TestDefaults counts how often, and within which time, an error is retried of which
// nobody has said anything.
func TestDefaults(t *testing.T) {
	errPlain := errors.New("plain")
	const many = 1000
	for _, c := range []struct {
		name     string
		attempts int // 0: see within
		within   time.Duration
		run      func(ctx context.Context, op func() error) error
	}{
		{failsafeGo, 3, 0, func(_ context.Context, op func() error) error {
			return failsafe.With(retrypolicy.NewWithDefaults[any]()).Run(op)
		}},
		{cenkaltiBackoff, 0, 15 * time.Minute, func(ctx context.Context, op func() error) error {
			_, err := cenkalti.Retry(ctx, func() (any, error) { return nil, op() })
			return err
		}},
		{cenkaltiBackoff + ", Permanent", 1, 0, func(ctx context.Context, op func() error) error {
			_, err := cenkalti.Retry(ctx, func() (any, error) { return nil, cenkalti.Permanent(op()) })
			return err
		}},
		{avastRetryGo, 10, time.Hour, func(_ context.Context, op func() error) error { return retrygo.New().Do(op) }},
		{avastRetryGo + ", Unrecoverable", 1, 0, func(_ context.Context, op func() error) error {
			return retrygo.New().Do(func() error { return retrygo.Unrecoverable(op()) })
		}},
		{sethvargoGoRetry, 1, 0, func(ctx context.Context, op func() error) error {
			return goretry.Do(ctx, goretry.NewConstant(time.Second), func(context.Context) error { return op() })
		}},
		{sethvargoGoRetry + ", marked", many, many * time.Second, func(ctx context.Context, op func() error) error {
			calls := 0
			return goretry.Do(ctx, goretry.NewConstant(time.Second), func(context.Context) error {
				err := op()
				if calls++; calls == many { // enough
					return err
				}
				return goretry.RetryableError(err)
			})
		}},
		{toolkit, 1, 0, func(ctx context.Context, op func() error) error {
			return newPolicy().Do(ctx, func(context.Context) error { return op() })
		}},
		{toolkit + ", transient", 4, 7 * time.Second, func(ctx context.Context, op func() error) error {
			return newPolicy().Do(ctx, func(context.Context) error { return errors.Join(op(), errDown) })
		}},
	} {
		synctest.Test(t, func(t *testing.T) {
			attempts, start := 0, time.Now()
			assert.Error(t, c.run(t.Context(), func() error { attempts++; return errPlain }), c.name)
			took := time.Since(start)
			assert.LessOrEqual(t, took, c.within, c.name)
			if c.attempts != 0 {
				assert.Equal(t, c.attempts, attempts, c.name)
			} else {
				assert.Greater(t, took, c.within-2*time.Minute, "%s: it is the time that ends it", c.name) // a delay is at most 90 s
			}
			t.Logf("%s: %d attempts within %v", c.name, attempts, took)
		})
	}
}

// TestDefaultStatuses counts the requests of go-retryablehttp for each status.
func TestDefaultStatuses(t *testing.T) {
	for status, want := range map[int]int{
		http.StatusOK: 1, http.StatusNotFound: 1, http.StatusRequestTimeout: 1, http.StatusTooManyRequests: 5,
		http.StatusInternalServerError: 5, http.StatusNotImplemented: 1, http.StatusBadGateway: 5,
		http.StatusServiceUnavailable: 5, http.StatusGatewayTimeout: 5,
	} {
		synctest.Test(t, func(t *testing.T) {
			requests := 0
			client := newHTTPClient(func(*http.Request) (*http.Response, error) {
				requests++
				return response(status, ""), nil
			})
			got, err := client.Get("http://callee")
			if err == nil {
				got.Body.Close()
			}
			assert.Equal(t, want, requests, "%d", status)
			t.Logf("%s: %d requests for the status %d", goRetryableHTTP, requests, status)
		})
	}
}
