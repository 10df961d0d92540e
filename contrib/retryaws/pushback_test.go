package retryaws

import (
	"io"
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/aws/smithy-go/middleware"
	"github.com/stretchr/testify/assert"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/retry"
)

func TestParseRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"":                     0,
		"0":                    0,
		"2":                    2 * time.Second,
		"2\t":                  2 * time.Second,
		"-2":                   0,
		"+2":                   0,
		"1.5":                  0,
		"99999999999999999999": math.MaxInt64,
		"9223372037":           math.MaxInt64,
		"soon":                 0,
		now.Add(time.Minute).Format(http.TimeFormat):  time.Minute,
		now.Add(-time.Minute).Format(http.TimeFormat): 0,
	} {
		assert.Equal(t, want, parseRetryAfter(value, now), "%q", value)
	}
	assert.Equal(t, 1500*time.Millisecond, parseMilliseconds("1500"))
	assert.Zero(t, parseMilliseconds(now.Add(time.Minute).Format(http.TimeFormat)))
}

func FuzzParseRetryAfter(f *testing.F) {
	for _, seed := range []string{"", "0", "17", "18446744073709551615", "Fri, 02 Jan 2026 03:04:05 GMT"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if d := parseRetryAfter(value, time.Unix(0, 0)); d < 0 {
			t.Errorf("%q: %v", value, d)
		}
		if d := parseMilliseconds(value); d < 0 {
			t.Errorf("%q: %v", value, d)
		}
	})
}

// Of the operations that the SDK takes for long polls it still waits after a denial, or their
// callers would poll without a pause.
func TestDelayAfterADenial(t *testing.T) {
	t.Parallel()
	r := MustNew("aws", WithBudget(nil), WithConfig(retry.Config{Jitter: backoff.NoJitter, InitialDelay: time.Minute}))
	c := begin(t.Context(), r)
	err := c.endAttempt(io.ErrUnexpectedEOF)
	_, denied := r.GetRetryToken(middleware.WithStackValue(t.Context(), callKey{}, c), err)
	assert.ErrorIs(t, denied, retry.ErrBudgetExhausted)
	d, delayErr := r.RetryDelay(1, err)
	assert.NoError(t, delayErr)
	assert.Equal(t, time.Minute, d)

	c = begin(resilience.NoRetry(t.Context()), r)
	err = c.endAttempt(io.ErrUnexpectedEOF)
	_, denied = r.GetRetryToken(middleware.WithStackValue(t.Context(), callKey{}, c), err)
	assert.Error(t, denied)
	_, delayErr = r.RetryDelay(1, err)
	assert.Error(t, delayErr, "whoever forbade retries wants a fast failure")
}
