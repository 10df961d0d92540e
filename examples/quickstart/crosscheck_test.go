package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCheck(t *testing.T) {
	assert.True(t, check{attempts: 10, requests: 10, calls: 7, made: 7}.ok())
	assert.True(t, check{attempts: 10, requests: 9, unsent: 1, calls: 7, made: 7}.ok())
	assert.False(t, check{attempts: 10, requests: 9, calls: 7, made: 7}.ok())
	assert.False(t, check{attempts: 9, requests: 10, calls: 7, made: 7}.ok())
	assert.False(t, check{attempts: 10, requests: 10, calls: 6, made: 7}.ok())
}

func TestOutbox(t *testing.T) {
	send := func(ctx context.Context, answer http.HandlerFunc) (unsent int64) {
		server := httptest.NewServer(answer)
		defer server.Close()
		if answer == nil {
			server.Close() // nobody listens
		}
		o := newOutbox(1)
		defer o.transport.CloseIdleConnections()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL, strings.NewReader("anything"))
		require.NoError(t, err)
		if resp, err := (&http.Client{Transport: o}).Do(req); err == nil {
			assert.NoError(t, resp.Body.Close())
		}
		return o.unsent.Load()
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	assert.EqualValues(t, 0, send(t.Context(), search))
	assert.EqualValues(t, 0, send(t.Context(), unavailable))
	assert.EqualValues(t, 0, send(t.Context(), reset))
	assert.EqualValues(t, 0, send(t.Context(), hangUp))
	assert.EqualValues(t, 1, send(t.Context(), nil))
	assert.EqualValues(t, 1, send(canceled, search))
}
