package retryhttp_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/internal/signaltest"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/retryhttp"
)

// canned answers requests with failures that have the fields, and then with success.
func canned(failures int, code int, fields func(now time.Time) []string) roundTripper {
	return func(*http.Request) (*http.Response, error) {
		answer := &http.Response{StatusCode: code, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("body"))}
		if failures--; failures < 0 {
			answer.StatusCode = 200
			return answer, nil
		}
		fields := fields(time.Now())
		for i := 0; i+1 < len(fields); i += 2 {
			answer.Header.Add(fields[i], fields[i+1])
		}
		return answer, nil
	}
}

// A policy waits for exactly what the server asks for.
func TestWaitsForPushback(t *testing.T) {
	t.Parallel()
	date := func(now time.Time) string { return now.UTC().Format(http.TimeFormat) }
	for name, test := range map[string]struct {
		code   int
		fields func(now time.Time) []string
		want   time.Duration
	}{
		"seconds": {503, func(time.Time) []string { return []string{"Retry-After", "7"} }, 7 * time.Second},
		"date":    {429, func(now time.Time) []string { return []string{"Retry-After", date(now.Add(9 * time.Second))} }, 9 * time.Second},
		"date by the server's clock": {503, func(now time.Time) []string {
			return []string{"Date", date(now.Add(time.Hour)), "Retry-After", date(now.Add(time.Hour + 9*time.Second))}
		}, 9 * time.Second},
		"limit":       {429, func(time.Time) []string { return []string{"RateLimit", `"a";r=0;t=11`} }, 11 * time.Second},
		"its maximum": {503, func(time.Time) []string { return []string{"Retry-After", "60"} }, time.Minute},
		"of a 500":    {500, func(time.Time) []string { return []string{"Retry-After", "3"} }, 3 * time.Second},
		"nothing":     {503, func(time.Time) []string { return nil }, 0},
		"past":        {503, func(now time.Time) []string { return []string{"Retry-After", date(now.Add(-time.Hour))} }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				transport := retryhttp.MustNew(policyOf(t, retry.WithMaxPushback(time.Minute)), retryhttp.WithBase(canned(2, test.code, test.fields)))
				began := time.Now()
				answer, err := transport.RoundTrip(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1/", http.NoBody))
				require.NoError(t, err)
				answer.Body.Close()
				assert.Equal(t, 200, answer.StatusCode)
				assert.Equal(t, 2*test.want, time.Since(began))
			})
		})
	}
}

// It does not come back earlier either: where that is too long the caller gets the answer.
func TestPushbackIsTooLong(t *testing.T) {
	t.Parallel()
	for _, after := range []string{"61", "3600", "99999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"} {
		synctest.Test(t, func(t *testing.T) {
			signals := signaltest.New()
			policy := retry.MustNew("http", retry.WithMaxPushback(time.Minute), retry.WithTelemetry(signals.Metrics()...))
			base := canned(2, 503, func(time.Time) []string { return []string{"Retry-After", after} })
			transport := retryhttp.MustNew(policy, retryhttp.WithBase(base))
			began := time.Now()
			answer, err := transport.RoundTrip(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1/", http.NoBody))
			require.NoError(t, err)
			assert.Equal(t, 503, answer.StatusCode)
			assert.Equal(t, after, answer.Header.Get("Retry-After"))
			assert.Equal(t, "body", read(t, answer))
			assert.Zero(t, time.Since(began))
			assert.EqualValues(t, 1, signals.Metric(t, "resilience.retry.calls")["503 deadline http"])
		})
	}
}

// Others see in the error what the server asked for.
func TestStatusError(t *testing.T) {
	t.Parallel()
	var seen *retryhttp.StatusError
	spy := resilience.PolicyFunc(func(ctx context.Context, op resilience.Operation) error {
		err := op(ctx)
		seen, _ = errors.AsType[*retryhttp.StatusError](err)
		return err
	})
	base := canned(1, 429, func(time.Time) []string { return []string{"Retry-After", "7", "X-Detail", "a"} })
	transport := retryhttp.MustNew(spy, retryhttp.WithBase(base))
	answer, err := transport.RoundTrip(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1/", http.NoBody))
	require.NoError(t, err)
	answer.Body.Close()
	require.NotNil(t, seen)
	assert.Equal(t, "429 Too Many Requests", seen.Error())
	assert.Equal(t, "a", seen.Header.Get("X-Detail"))
	after, said := seen.RetryAfter()
	assert.True(t, said)
	assert.Equal(t, 7*time.Second, after)
	assert.True(t, seen.Throttled())
	assert.Equal(t, "599", (&retryhttp.StatusError{StatusCode: 599}).Error(), "a status without a text")
}
