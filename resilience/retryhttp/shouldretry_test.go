package retryhttp_test

import (
	"context"
	"errors"
	"net/http"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/fallback"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/retryhttp"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// An answer asks not to repeat the request if it failed and if retries were made in vain.
func TestShouldRetry(t *testing.T) {
	t.Parallel()
	gaveUp := func(t *testing.T, ctx context.Context) {
		t.Helper()
		require.ErrorIs(t, policyOf(t).Do(ctx, down), retry.ErrExhausted)
	}
	nothingGaveUp := map[string]func(*testing.T, context.Context){
		"no policy": func(*testing.T, context.Context) {},
		"success": func(t *testing.T, ctx context.Context) {
			require.NoError(t, policyOf(t).Do(ctx, func(context.Context) error { return nil }))
		},
		"one attempt": func(t *testing.T, ctx context.Context) {
			require.ErrorIs(t, policyOf(t, retry.WithMaxRetries(0)).Do(ctx, down), syscall.ECONNREFUSED)
		},
		"permanent": func(t *testing.T, ctx context.Context) {
			require.Error(t, policyOf(t).Do(ctx, func(context.Context) error { return resilience.Permanent(errors.New("no")) }))
		},
		"another request": func(t *testing.T, ctx context.Context) { gaveUp(t, t.Context()) },
	}
	for code := 200; code < 600; code++ {
		if http.StatusText(code) == "" {
			continue
		}
		want := ""
		if code >= 500 || code == 408 || code == 425 || code == 429 {
			want = "false"
		}
		fails := func(w http.ResponseWriter, r *http.Request) { gaveUp(t, r.Context()); status(code)(w, r) }
		assert.Equal(t, want, shouldRetry(t, handle(t, fails)), code)
		assert.Empty(t, shouldRetry(t, handle(t, fails, retryhttp.WithoutShouldRetry())), code)
		for name, does := range nothingGaveUp {
			h := handle(t, func(w http.ResponseWriter, r *http.Request) { does(t, r.Context()); status(code)(w, r) })
			assert.Empty(t, shouldRetry(t, h), "%d after %s", code, name)
		}
	}
}

func shouldRetry(t *testing.T, h http.Handler) string {
	t.Helper()
	answer := served(t, h, http.Header{})
	return answer.header.Get("X-Should-Retry")
}

// Under a repeated request a policy makes no retries, so that it gives up none: the layer
// above goes on.
func TestRepeatedRequestsMayBeRepeatedOn(t *testing.T) {
	t.Parallel()
	h := handle(t, func(w http.ResponseWriter, r *http.Request) {
		assert.ErrorIs(t, policyOf(t).Do(r.Context(), down), syscall.ECONNREFUSED)
		w.WriteHeader(http.StatusBadGateway)
	})
	answer := served(t, h, http.Header{"Previous-Attempts": {"1"}})
	assert.Equal(t, 502, answer.code)
	assert.NotContains(t, answer.header, "X-Should-Retry")
}

// What a fallback saved has not failed.
func TestFallbackSavesTheAnswer(t *testing.T) {
	t.Parallel()
	substitute := fallback.MustNew("handler", fallback.WithTelemetry(telemetry.Off()))
	h := handle(t, func(w http.ResponseWriter, r *http.Request) {
		text, err := fallback.DoValue(r.Context(), substitute,
			func(ctx context.Context) (string, error) { return "", policyOf(t).Do(ctx, down) },
			func(context.Context, error) (string, error) { return "yesterday's", nil })
		assert.NoError(t, err)
		w.Write([]byte(text)) //nolint:errcheck // the test reads it
	})
	answer := served(t, h, http.Header{})
	assert.NotContains(t, answer.header, "X-Should-Retry")
	assert.Equal(t, "yesterday's", answer.body)
}

// That the layer below gave up travels on up, and its own word too where a proxy copies it.
func TestShouldRetryTravelsUp(t *testing.T) {
	t.Parallel()
	below := serve(t, status(503, "X-Should-Retry", "false"))
	forward := forwardTo(t, below)
	h := handle(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Should-Retry", "true") // wrong, and nobody asked
		forward(w, r)
	})
	assert.Equal(t, "false", shouldRetry(t, h))
	assert.Len(t, below.got(), 1)

	copies := handle(t, status(503, "X-Should-Retry", "true"))
	assert.Equal(t, "true", shouldRetry(t, copies), "a handler that knows better is believed")
}
