package compare

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	retrygo "github.com/avast/retry-go/v5"
	cenkalti "github.com/cenkalti/backoff/v5"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/hashicorp/go-retryablehttp"
	goretry "github.com/sethvargo/go-retry"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retry"
)

// A Backoff of go-retry is given nothing.
var _ func(goretry.Backoff) (time.Duration, bool) = goretry.Backoff.Next

func TestPushback(t *testing.T) {
	// asked is what the callee asks for, waited how long the only retry was waited for; it
	// is -1 if there was none.
	for _, c := range []struct {
		name          string
		asked, waited time.Duration
		run           func(ctx context.Context, op func() error, asked time.Duration) error
	}{
		{cenkaltiBackoff, 10 * time.Minute, 10 * time.Minute, pushedBackoff},
		{cenkaltiBackoff, time.Hour, -1, pushedBackoff},
		{avastRetryGo, time.Hour, time.Second, func(ctx context.Context, op func() error, asked time.Duration) error {
			read := func(uint, error, retrygo.DelayContext) time.Duration { return asked }
			return retrygo.New(retrygo.Context(ctx), retrygo.Attempts(2), retrygo.MaxDelay(time.Second), retrygo.DelayType(read)).Do(op)
		}},
		{toolkit, 30 * time.Second, 30 * time.Second, pushedToolkit},
		{toolkit, time.Hour, -1, pushedToolkit},
	} {
		synctest.Test(t, func(t *testing.T) {
			waited := time.Duration(-1)
			var last time.Time
			err := c.run(t.Context(), func() error {
				if !last.IsZero() {
					waited = time.Since(last)
				}
				last = time.Now()
				return errDown
			}, c.asked)
			assert.Equal(t, c.waited, waited, c.name)
			assert.Equal(t, last, time.Now(), "%s: it waits in vain", c.name)
			if c.name == cenkaltiBackoff {
				assert.NotErrorIs(t, err, errDown, "RetryAfterError takes its place")
			} else {
				assert.ErrorIs(t, err, errDown)
			}
			t.Logf("%s: asked for %v, waited %v: %v", c.name, c.asked, waited, err)
		})
	}
}

func pushedBackoff(ctx context.Context, op func() error, asked time.Duration) error {
	_, err := cenkalti.Retry(ctx, func() (any, error) {
		_ = op() // there is no room for it
		return nil, cenkalti.RetryAfter(int(asked / time.Second))
	}, cenkalti.WithMaxTries(2))
	return err
}

func pushedToolkit(ctx context.Context, op func() error, asked time.Duration) error {
	return newPolicy(retry.WithMaxRetries(1)).
		Do(ctx, func(context.Context) error { return resilience.RetryAfter(op(), asked) })
}

func TestRetryAfter(t *testing.T) {
	const seconds, date = "3600", "date"
	for _, c := range []struct {
		name, header string
		status       int
		waited       time.Duration
	}{
		{failsafeGo, seconds, http.StatusServiceUnavailable, time.Hour},
		{failsafeGo, seconds, http.StatusTooManyRequests, time.Hour},
		{failsafeGo, seconds, http.StatusBadGateway, 0},
		{failsafeGo, date, http.StatusServiceUnavailable, 0},
		{goRetryableHTTP, seconds, http.StatusServiceUnavailable, time.Hour},
		{goRetryableHTTP, seconds, http.StatusTooManyRequests, time.Hour},
		{goRetryableHTTP, seconds, http.StatusBadGateway, time.Second}, // RetryWaitMin
		{goRetryableHTTP, date, http.StatusServiceUnavailable, time.Hour},
	} {
		synctest.Test(t, func(t *testing.T) {
			start, requests, header := time.Now(), 0, c.header
			if header == date {
				header = start.Add(time.Hour).UTC().Format(http.TimeFormat)
			}
			var callee transport = func(*http.Request) (*http.Response, error) {
				if requests++; requests == 1 {
					return response(c.status, header), nil
				}
				return response(http.StatusOK, ""), nil
			}
			client := &http.Client{Transport: failsafehttp.NewRoundTripper(callee,
				failsafehttp.NewRetryPolicyBuilder().Build())} //nolint:bodyclose // this makes no response
			if c.name == goRetryableHTTP {
				retrying := newHTTPClient(callee)
				retrying.RetryWaitMax = time.Second
				client = retrying.StandardClient()
			}
			got, err := client.Get("http://callee")
			require.NoError(t, err)
			defer got.Body.Close()
			assert.Equal(t, 2, requests, c.name)
			assert.Equal(t, c.waited, time.Since(start), c.name)
			t.Logf("%s: %d with Retry-After: %s, waited %v", c.name, c.status, header, time.Since(start))
		})
	}
	unavailable := response(http.StatusServiceUnavailable, seconds)
	defer unavailable.Body.Close()
	hour := retryablehttp.DefaultBackoff(time.Second, time.Minute, 0, unavailable)
	assert.Equal(t, time.Hour, hour)
	t.Logf("%s: DefaultBackoff returned %v, with a RetryWaitMax of %v", goRetryableHTTP, hour, time.Minute)
}
