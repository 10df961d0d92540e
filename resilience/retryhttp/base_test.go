package retryhttp_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/retryhttp"
)

// A listError is one of those that cannot be compared.
type listError []error

func (e listError) Error() string { return fmt.Sprint([]error(e)) }

// A detailError cannot be compared if what is in it cannot.
type detailError struct{ detail any }

func (e detailError) Error() string { return fmt.Sprint(e.detail) }

// What a base returns may be of any type.
func TestErrorsThatCannotBeCompared(t *testing.T) {
	t.Parallel()
	for _, failure := range []error{listError{errors.New("a"), errors.New("b")}, detailError{[]int{1, 2}}} {
		base := roundTripper(func(*http.Request) (*http.Response, error) { return nil, failure })
		for name, policy := range map[string]resilience.Policy{
			"none":    nil,
			"unknown": policyOf(t),
			"retried": policyOf(t, retry.WithUnknown(resilience.ClassRetryable)),
		} {
			request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1/", http.NoBody)
			_, err := retryhttp.MustNew(policy, retryhttp.WithBase(base)).RoundTrip(request) //nolint:bodyclose // there is none
			assert.ErrorContains(t, err, failure.Error(), name)
		}
	}
}

// An answer without a body, as tests make it, is one to package net/http.
func TestAnswersWithoutBody(t *testing.T) {
	t.Parallel()
	for _, code := range []int{200, 404, 503} {
		calls := 0
		base := roundTripper(func(*http.Request) (*http.Response, error) {
			calls++
			return &http.Response{StatusCode: code}, nil
		})
		answer := getBy(t, &http.Client{Transport: retryhttp.MustNew(policyOf(t), retryhttp.WithBase(base))}, "http://127.0.0.1/")
		assert.Equal(t, code, answer.StatusCode)
		assert.Empty(t, read(t, answer))
		if code == 503 {
			assert.Equal(t, 3, calls)
		}
	}
}

// A Transport in a Transport multiplies no more than a retry in a retry, whatever fails. What
// gave up further in is told to whoever serves a request meanwhile.
func TestNestedTransports(t *testing.T) {
	t.Parallel()
	for name, fails := range map[string]http.HandlerFunc{"answer": status(503), "no answer": hangUp} {
		server := serve(t, fails)
		inner := server.client(t, policyOf(t)).Transport
		ctx, gaveUp := resilience.WatchGaveUp(t.Context())
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, http.NoBody)
		require.NoError(t, err)
		answer, err := server.client(t, policyOf(t), retryhttp.WithBase(inner)).Do(request)
		if name == "answer" {
			require.NoError(t, err)
			assert.Equal(t, "Service Unavailable", read(t, answer))
		} else {
			require.ErrorIs(t, err, retry.ErrExhausted)
		}
		assert.Len(t, server.got(), 3, name)
		assert.True(t, gaveUp(), name)
	}
	// Where the inner one may not repeat, the outer one does.
	server := serve(t, status(503))
	once := server.client(t, policyOf(t, retry.WithMaxRetries(0))).Transport
	outer := server.client(t, policyOf(t), retryhttp.WithBase(once))
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL, strings.NewReader("hello"))
	require.NoError(t, err)
	answer, err := outer.Do(request)
	require.NoError(t, err)
	answer.Body.Close()
	assert.Len(t, server.got(), 3)
}
