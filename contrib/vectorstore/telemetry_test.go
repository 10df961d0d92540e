package vectorstore_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/observable-go/toolkit/contrib/vectorstore"
	"github.com/observable-go/toolkit/internal/signaltest"
	"github.com/observable-go/toolkit/resilience/secret"
)

// Each operation has its own name, in metrics, on spans and in lines, and each call is counted
// once.
func TestTelemetry(t *testing.T) {
	t.Parallel()
	for name, method := range methods {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, signals := newFake(t), signaltest.New()
			c := newClient(t, f, vectorstore.WithName("library"), vectorstore.WithPolicy(told(signals.Options())))
			f.fail(method.wire, unavailable)
			events := signals.Span(t.Context(), func(ctx context.Context) {
				_, err := method.call(ctx, c)
				assert.NoError(t, err)
			})
			assert.Equal(t, []string{
				"resilience.attempt.failed", "resilience.retry.scheduled", "resilience.attempt.succeeded", "resilience.retry.succeeded",
			}, signaltest.Names(events))
			assert.Equal(t, "UNAVAILABLE", events[0].Attributes["error.type"])
			operation := "library." + name
			for _, e := range events {
				assert.Equal(t, operation, e.Attributes["resilience.policy.name"])
			}
			calls := signals.Metric(t, "resilience.retry.calls")
			maps.DeleteFunc(calls, func(_ string, n float64) bool { return n == 0 })
			assert.Equal(t, map[string]float64{"success_after_retry " + operation: 1}, calls)
			lines := signals.Lines()
			require.Len(t, lines, 2)
			assert.Contains(t, lines[0], operation+": Attempt 1/4 failed: ")
			assert.Contains(t, lines[1], operation+": Succeeded on attempt 2")
		})
	}
}

// The key goes to the server and nowhere else.
func TestKeyIsSentAndNotTold(t *testing.T) {
	t.Parallel()
	f, signals := newFake(t), signaltest.New()
	c := newClientOf(t, f, vectorstore.Config{URL: f.url(), CollectionName: collectionName, APIKey: secret.New(key)},
		vectorstore.WithPolicy(told(signals.Options())))
	f.fail("Count", unavailable, answers(codes.ResourceExhausted, "limit", "retry-after", "0"), answers(codes.Unauthenticated, "Invalid API key"))
	var told bytes.Buffer
	events := signals.Span(t.Context(), func(ctx context.Context) {
		_, err := c.Count(ctx, nil)
		require.Error(t, err)
		fmt.Fprintf(&told, "%v %+v %#v", err, err, err)
	})
	for _, call := range f.requests("Count") {
		assert.Equal(t, []string{key}, call.header.Get("api-key"))
		assert.Contains(t, strings.Join(call.header.Get("user-agent"), " "), "go-client/")
	}
	assert.Len(t, f.requests("Count"), 3)
	slog.New(slog.NewTextHandler(&told, nil)).Info("told", "events", events, "metrics", signals.All(t), "lines", signals.Lines())
	assert.NotContains(t, told.String(), key)
	assert.Contains(t, told.String(), "Unauthenticated")
}
