package vectorstore_test

import (
	"errors"
	"testing"

	"github.com/qdrant/go-client/qdrant"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/observable-go/toolkit/contrib/vectorstore"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/breaker"
	"github.com/observable-go/toolkit/resilience/budget"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// A breaker counts what Qdrant did wrong, and not what the caller did.
func TestWithBreaker(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	guard := breaker.MustNew("store", breaker.WithConsecutiveFailures(3), breaker.WithTelemetry(telemetry.Off()))
	c := newClient(t, f, vectorstore.WithPolicy(resilience.Chain(policy(retry.WithMaxRetries(1)), guard)))
	for range 5 {
		_, err := c.SimilaritySearchByVector(t.Context(), []float32{1}, 1)
		assert.Equal(t, codes.InvalidArgument, status.Code(err))
	}
	assert.Equal(t, breaker.Closed, guard.State())
	f.fail("Count", unavailable, answers(codes.ResourceExhausted, "limit", "retry-after", "3600"), unavailable)
	for range 2 {
		_, err := c.Count(t.Context(), nil)
		assert.Error(t, err)
	}
	assert.Equal(t, breaker.Open, guard.State())
	before := f.attempts("Count")
	_, err := c.Count(t.Context(), nil)
	assert.ErrorIs(t, err, breaker.ErrOpen)
	assert.Equal(t, before, f.attempts("Count"))
	_, asked := errors.AsType[*qdrant.QdrantError](err)
	assert.False(t, asked)
}

func TestWithBudget(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.store.make(collectionName, size)
	one, err := budget.New("store", budget.WithBurst(1), budget.WithFloor(0), budget.WithRatio(0.001), budget.WithTelemetry(telemetry.Off()))
	require.NoError(t, err)
	c, err := vectorstore.New(letters{}, vectorstore.Config{
		URL: f.url(), CollectionName: collectionName, Retry: retry.Config{InitialDelay: 1},
	}, vectorstore.WithBudget(one), vectorstore.WithTelemetry(telemetry.Off()))
	require.NoError(t, err)
	defer func() { assert.NoError(t, c.Close()) }()
	f.fail("Count", unavailable, unavailable, unavailable)
	_, err = c.Count(t.Context(), nil)
	assert.ErrorIs(t, err, retry.ErrBudgetExhausted)
	assert.Equal(t, 2, f.attempts("Count"), "one token, one retry")
}
