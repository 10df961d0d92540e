package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retry"
)

func serve(t *testing.T, handler http.HandlerFunc, opts ...retry.Option) *searchClient {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client, err := newSearchClient("test", server.URL, transport, opts...)
	require.NoError(t, err)
	return client
}

// Every fault is seen as what it is.
func TestFailures(t *testing.T) {
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	for name, test := range map[string]struct {
		answer    http.HandlerFunc
		class     resilience.Class
		errorType string
		pushback  time.Duration
	}{
		"busy":              {busy, resilience.ClassRetryable, "503", time.Second},
		"unavailable":       {unavailable, resilience.ClassRetryable, "503", 0},
		"too many requests": {status(http.StatusTooManyRequests), resilience.ClassRetryable, "429", 0},
		"reject":            {reject, resilience.ClassPermanent, "400", 0},
		"not found":         {status(http.StatusNotFound), resilience.ClassPermanent, "404", 0},
		"reset":             {reset, resilience.ClassRetryable, "connection_reset", 0},
		"hang up":           {hangUp, resilience.ClassRetryable, "unexpected_eof", 0},
		"stall":             {stall, resilience.ClassRetryable, "timeout", 0},
	} {
		t.Run(name, func(t *testing.T) {
			client := serve(t, test.answer)
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			if test.errorType != "timeout" {
				cancel()
				ctx, cancel = context.WithCancel(t.Context())
			}
			defer cancel()
			_, err := client.search(ctx, "anything")
			require.Error(t, err)
			assert.Equal(t, test.class, client.policy.Classify(err), "%v", err)
			assert.Equal(t, test.errorType, resilience.ErrorType(err), "%v", err)
			pushback, _ := resilience.Pushback(err)
			assert.Equal(t, test.pushback, pushback)
		})
	}
}

func TestConnectionRefused(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	client, err := newSearchClient("test", server.URL, &http.Transport{})
	require.NoError(t, err)
	_, err = client.search(t.Context(), "anything")
	assert.Equal(t, resilience.ClassRetryable, client.policy.Classify(err), "%v", err)
}

func TestSearch(t *testing.T) {
	var requests atomic.Int64
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) < 3 {
			reset(w, r)
			return
		}
		search(w, r)
	}, retry.WithInitialDelay(0), retry.WithAttemptTimeout(time.Minute))
	body, err := client.Search(t.Context(), "anything")
	require.NoError(t, err)
	assert.JSONEq(t, found, string(body))
	assert.EqualValues(t, 3, requests.Load())
}

func TestRetryAfter(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"1":   time.Second,
		"120": 2 * time.Minute,
		"0":   0,
	} {
		got, ok := retryAfter(http.Header{"Retry-After": {value}})
		assert.True(t, ok, value)
		assert.Equal(t, want, got, value)
	}
	wait, ok := retryAfter(http.Header{"Retry-After": {time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)}})
	assert.True(t, ok)
	assert.Positive(t, wait)
	for _, value := range []string{"", "soon", "1.5"} {
		_, ok := retryAfter(http.Header{"Retry-After": {value}})
		assert.False(t, ok, value)
	}
}
