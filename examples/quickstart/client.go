package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/budget"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// A searchClient searches by HTTP. All goroutines share one: the policy keeps nothing
// of a call.
type searchClient struct {
	policy *retry.Policy
	http   *http.Client
	url    string
}

// newSearchClient returns a client whose policy is known to telemetry by that name.
// Metrics and spans go to the global OpenTelemetry providers.
func newSearchClient(name, url string, transport http.RoundTripper, opts ...retry.Option) (*searchClient, error) {
	policy, err := retry.New(name, append([]retry.Option{
		// Up to 3 retries, the default. The delays suit a caller that waits for the
		// answer, and a program that is over in half a minute.
		retry.WithInitialDelay(50 * time.Millisecond),
		retry.WithMaxDelay(time.Second),
		// An answer that takes longer than this is not worth waiting for.
		retry.WithAttemptTimeout(250 * time.Millisecond),
		// A span for each call and for each attempt, to see them in a trace.
		retry.WithTelemetry(telemetry.WithSpans()),
	}, opts...)...)
	return &searchClient{policy, &http.Client{Transport: transport}, url}, err
}

// newSearchBudget returns the budget that everything shares that searches: one retry
// for ten calls and one more a second, the defaults. A burst of 20 is plenty for 100
// calls a second.
func newSearchBudget(name string) (*budget.Budget, error) {
	return budget.New(name, budget.WithBurst(20))
}

// Search returns what the service finds, after retries if there must be some.
func (c *searchClient) Search(ctx context.Context, query string) ([]byte, error) {
	return retry.DoValue(ctx, c.policy, func(ctx context.Context) ([]byte, error) {
		return c.search(ctx, query)
	})
}

// search is one attempt. It says which failures are worth another one.
//
// A search changes nothing, so it may be repeated. It is a POST nevertheless, as many
// searches are, which has a second merit: net/http itself repeats a GET whose
// connection broke, behind the back of the policy and of its budget.
func (c *searchClient) search(ctx context.Context, query string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, strings.NewReader(query))
	if err != nil {
		return nil, resilience.Permanent(err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err // refused, reset, hung up, timed out: the policy knows what is transient
	}
	defer resp.Body.Close()

	// The body is read within the attempt, so that its timeout covers the body and a
	// body that breaks off is a failed attempt.
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	return body, statusOf(resp)
}

// statusOf returns nil for an answer that is a result.
func statusOf(resp *http.Response) error {
	if resp.StatusCode < http.StatusBadRequest {
		return nil
	}
	err := statusError(resp.StatusCode)
	if resp.StatusCode < http.StatusInternalServerError && resp.StatusCode != http.StatusTooManyRequests {
		return resilience.Permanent(err) // the request is at fault: it would fail again
	}
	if wait, ok := retryAfter(resp.Header); ok {
		return resilience.RetryAfter(err, wait) // the policy waits as long as that
	}
	return resilience.Retryable(err)
}

// A statusError is the status code of an answer that is no result.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("%d %s", int(e), http.StatusText(int(e))) }

// ErrorType is the error.type in telemetry. For HTTP the semantic conventions of
// OpenTelemetry want the status code.
func (e statusError) ErrorType() string { return strconv.Itoa(int(e)) }

// retryAfter returns the wait that the header Retry-After asks for, in seconds or as
// a date (RFC 9110, section 10.2.3).
func retryAfter(h http.Header) (wait time.Duration, ok bool) {
	value := h.Get("Retry-After")
	const longest = uint64(math.MaxInt64 / time.Second)
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(seconds, longest)) * time.Second, true
	}
	date, err := http.ParseTime(value)
	return time.Until(date), err == nil
}
