package adaptive_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/adaptive"
	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/retry"
)

type throttlingError struct{ says func() bool }

func (*throttlingError) Error() string     { return "throttling" }
func (e *throttlingError) Throttled() bool { return e.says() }

func TestWhatThrottles(t *testing.T) {
	t.Parallel()
	yes, no := func() bool { return true }, func() bool { return false }
	onPlain := adaptive.WithThrottling(func(err error) bool { return errors.Is(err, errPlain) })
	classify := adaptive.WithClassifier(func(error) resilience.Class { return resilience.ClassRefused })
	for name, tt := range map[string]struct {
		err  error
		opt  adaptive.Option
		want bool
	}{
		"success":                     {err: nil},
		"plain":                       {err: errPlain},
		"retryable":                   {err: errRetryable},
		"pushback":                    {err: fmt.Errorf("x: %w", errSlowDown), want: true},
		"says so":                     {err: fmt.Errorf("x: %w", &throttlingError{yes}), want: true},
		"says no":                     {err: &throttlingError{no}},
		"panics":                      {err: &throttlingError{func() bool { panic("foreign") }}},
		"refused with a pushback":     {err: resilience.Refused(errSlowDown)},
		"by option":                   {err: errPlain, opt: onPlain, want: true},
		"not by option":               {err: &throttlingError{yes}, opt: onPlain},
		"refused, though by option":   {err: errRefused, opt: onPlain},
		"refused by a classifier":     {err: errSlowDown, opt: classify},
		"the refusal of another one":  {err: &adaptive.RateError{After: time.Second}},
		"a permanent one that pushes": {err: resilience.Permanent(errSlowDown), want: true},
		"a pushback without a time":   {err: resilience.RetryAfter(errPlain, 0), want: true},
		"a retry that gave up":        {err: gaveUpError{errSlowDown}, want: true},
		"by option, it gave up":       {err: gaveUpError{errPlain}, opt: onPlain, want: true},
		"it gave up on a failure":     {err: gaveUpError{errPlain}},
		"it gave up on a refusal":     {err: gaveUpError{resilience.Refused(errSlowDown)}},
		"refused, it gave up":         {err: gaveUpError{errSlowDown}, opt: classify},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := adaptive.MustNewRateLimiter("l", tt.opt)
			assert.Equal(t, tt.err, l.Do(t.Context(), returning(tt.err)))
			assert.Equal(t, tt.want, !math.IsInf(l.Rate(), 1))
			if tt.opt == nil {
				assert.Equal(t, tt.want, resilience.Throttled(tt.err))
			}
		})
	}
}

// What was refused was not sent, nor was what did not come that far.
func TestRefusedIsNotMeasured(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := adaptive.MustNewRateLimiter("l")
		for range 100 {
			_ = l.Do(t.Context(), returning(errRefused))
			_ = l.Do(t.Context(), returning(gaveUpError{errRefused}))
			_ = l.Do(t.Context(), returning(notSentError{}))
		}
		time.Sleep(500 * time.Millisecond)
		_ = l.Do(t.Context(), returning(nil))
		assert.InDelta(t, 0.8*1/0.5, l.Measured(), 1e-9)
	})
}

// Around a retry that gives up one sees its last failure: neither takes it for a refusal, of
// which the callee knows nothing.
func TestAroundRetry(t *testing.T) {
	t.Parallel()
	retries := retry.MustNew("r", retry.WithMaxRetries(1), retry.WithBackoff(backoff.Constant{Jitter: backoff.NoJitter}))
	l := adaptive.MustNewRateLimiter("l")
	throttle := adaptive.MustNewThrottle("t")
	tooMany := resilience.RetryAfter(errPlain, 0) // a 429 that does not say when to come back
	calls := 0
	err := resilience.Chain(throttle, l, retries).Do(t.Context(), func(context.Context) error { calls++; return tooMany })
	require.ErrorIs(t, err, retry.ErrExhausted)
	assert.Equal(t, 2, calls)
	assert.False(t, math.IsInf(l.Rate(), 1), "it limits")
	assert.InDelta(t, 1./2, throttle.Probability(), 1e-9)

	ctx, cancel := context.WithTimeout(t.Context(), time.Microsecond)
	defer cancel()
	<-ctx.Done()
	throttle = adaptive.MustNewThrottle("t")
	err = throttle.Do(t.Context(), func(context.Context) error { return retries.Do(ctx, returning(nil)) })
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Zero(t, throttle.Probability(), "nothing was sent")
}
