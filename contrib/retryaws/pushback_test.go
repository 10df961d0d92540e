package retryaws

import (
	"io"
	"testing"
	"time"

	"github.com/aws/smithy-go/middleware"
	"github.com/stretchr/testify/assert"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/retry"
)

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
