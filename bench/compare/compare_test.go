package compare

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	retrygo "github.com/avast/retry-go/v5"
	cenkalti "github.com/cenkalti/backoff/v5"
	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/hashicorp/go-retryablehttp"
	goretry "github.com/sethvargo/go-retry"
	"github.com/stretchr/testify/assert"

	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// As docs/comparison.md calls them.
const (
	toolkit          = "this toolkit"
	failsafeGo       = "failsafe-go"
	cenkaltiBackoff  = "backoff"
	avastRetryGo     = "retry-go"
	sethvargoGoRetry = "go-retry"
	goRetryableHTTP  = "go-retryablehttp"
)

var errDown = transientError{}

// transientError is what the toolkit retries, and the others because they retry all.
type transientError struct{}

func (transientError) Error() string   { return "down" }
func (transientError) Retryable() bool { return true }

// A library runs op up to so many times, with that delay before each repetition.
type library struct {
	name string
	run  func(ctx context.Context, attempts int, delay time.Duration, op func() error) error
}

func libraries() []library {
	return []library{
		{failsafeGo, func(ctx context.Context, attempts int, delay time.Duration, op func() error) error {
			policy := retrypolicy.NewBuilder[any]().WithMaxAttempts(attempts).WithDelay(delay).Build()
			return failsafe.With(policy).WithContext(ctx).Run(op)
		}},
		{cenkaltiBackoff, func(ctx context.Context, attempts int, delay time.Duration, op func() error) error {
			_, err := cenkalti.Retry(ctx, func() (any, error) { return nil, op() },
				cenkalti.WithBackOff(cenkalti.NewConstantBackOff(delay)), cenkalti.WithMaxTries(uint(attempts)))
			return err
		}},
		{avastRetryGo, func(ctx context.Context, attempts int, delay time.Duration, op func() error) error {
			return retrygo.New(retrygo.Context(ctx), retrygo.Attempts(uint(attempts)),
				retrygo.Delay(delay), retrygo.DelayType(retrygo.FixedDelay)).Do(op)
		}},
		{sethvargoGoRetry, func(ctx context.Context, attempts int, delay time.Duration, op func() error) error {
			plan := goretry.WithMaxRetries(uint64(attempts-1), goretry.BackoffFunc(func() (time.Duration, bool) { return delay, false }))
			return goretry.Do(ctx, plan, func(context.Context) error { return op() })
		}},
		{goRetryableHTTP, func(ctx context.Context, attempts int, delay time.Duration, op func() error) error {
			client := newHTTPClient(func(*http.Request) (*http.Response, error) {
				if err := op(); err != nil {
					return nil, err
				}
				return response(http.StatusOK, ""), nil
			})
			client.RetryMax, client.RetryWaitMin, client.RetryWaitMax = attempts-1, delay, delay
			request, err := retryablehttp.NewRequestWithContext(ctx, http.MethodGet, "http://callee", nil)
			if err != nil {
				return err
			}
			got, err := client.Do(request)
			if err != nil {
				return err
			}
			return got.Body.Close()
		}},
		{toolkit, func(ctx context.Context, attempts int, delay time.Duration, op func() error) error {
			return newPolicy(retry.WithMaxRetries(attempts-1), retry.WithInitialDelay(delay), retry.WithJitter(backoff.NoJitter)).
				Do(ctx, func(context.Context) error { return op() })
		}},
	}
}

func newPolicy(opts ...retry.Option) *retry.Policy {
	return retry.MustNew("compare", append(opts, retry.WithTelemetry(telemetry.Off()))...)
}

// A transport is a callee that is reached without a network.
type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(request *http.Request) (*http.Response, error) { return t(request) }

// newHTTPClient returns a client of go-retryablehttp that is quiet, with its defaults.
func newHTTPClient(callee transport) *retryablehttp.Client {
	client := retryablehttp.NewClient()
	client.Logger = nil
	client.HTTPClient = &http.Client{Transport: callee}
	return client
}

func response(status int, retryAfter string) *http.Response {
	header := http.Header{}
	if retryAfter != "" {
		header.Set("Retry-After", retryAfter)
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader("body"))}
}

// marked returns op with its errors marked for go-retry. The others see through the mark.
func marked(op func() error) func() error {
	return func() error { return goretry.RetryableError(op()) }
}

func TestNestedRetries(t *testing.T) {
	for _, lib := range libraries() {
		for again, want := range map[bool]map[string]int{
			false: {failsafeGo: 9, cenkaltiBackoff: 9, avastRetryGo: 9, sethvargoGoRetry: 3, goRetryableHTTP: 9, toolkit: 3},
			true:  {sethvargoGoRetry: 9},
		} {
			if want[lib.name] == 0 {
				continue
			}
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				fail := func() error { calls++; return errDown }
				if lib.name == sethvargoGoRetry {
					fail = marked(fail)
				}
				inner := func() error { return lib.run(t.Context(), 3, time.Millisecond, fail) }
				if again {
					inner = marked(inner)
				}
				assert.Error(t, lib.run(t.Context(), 3, time.Millisecond, inner), lib.name)
				assert.Equal(t, want[lib.name], calls, lib.name)
				t.Logf("%s: %d calls; the outer operation marks its errors again: %t", lib.name, calls, again)
			})
		}
	}
}

func TestDeadline(t *testing.T) {
	for _, lib := range libraries() {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			calls, start := 0, time.Now()
			err := lib.run(ctx, 4, time.Second, marked(func() error { calls++; return errDown }))
			waited, keeps := time.Since(start), errors.Is(err, errDown)

			want := 300 * time.Millisecond
			if lib.name == toolkit {
				want = 0
				assert.ErrorIs(t, err, retry.ErrDeadline)
			}
			assert.ErrorIs(t, err, context.DeadlineExceeded, lib.name)
			assert.Equal(t, 1, calls, lib.name)
			assert.Equal(t, want, waited, lib.name)
			assert.Equal(t, lib.name == avastRetryGo || lib.name == toolkit, keeps, lib.name)
			t.Logf("%s: returned after %v; its error contains the last failure: %t", lib.name, waited, keeps)
		})
	}
}

func TestContextDoneBefore(t *testing.T) {
	want := map[string]int{failsafeGo: 1, cenkaltiBackoff: 1, avastRetryGo: 0, sethvargoGoRetry: 0, toolkit: 0}
	for _, lib := range libraries() {
		if lib.name == goRetryableHTTP {
			continue // what is sent then is up to the transport
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		calls := 0
		assert.Error(t, lib.run(ctx, 3, time.Millisecond, marked(func() error { calls++; return errDown })), lib.name)
		assert.Equal(t, want[lib.name], calls, lib.name)
		t.Logf("%s: %d calls", lib.name, calls)
	}
}

// TestSharedBackoff shows that a Backoff of go-retry counts for all who use it.
func TestSharedBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := goretry.WithMaxRetries(2, goretry.NewConstant(time.Millisecond))
		var attempts []int
		for range 3 {
			calls := 0
			assert.Error(t, goretry.Do(t.Context(), shared, func(context.Context) error {
				calls++
				return goretry.RetryableError(errDown)
			}))
			attempts = append(attempts, calls)
		}
		assert.Equal(t, []int{3, 1, 1}, attempts)
		t.Logf("%s: %v attempts of three calls with one WithMaxRetries(2)", sethvargoGoRetry, attempts)
	})
}
