package vectorstore_test

import (
	"context"
	"errors"
	"strconv"
	"testing"

	"github.com/qdrant/go-client/qdrant"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/observable-go/toolkit/contrib/vectorstore"
	"github.com/observable-go/toolkit/internal/signaltest"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retry"
)

// impatient is a budget that cancels the call instead of letting it wait.
type impatient struct{ cancel context.CancelFunc }

func (impatient) Deposit()         {}
func (impatient) Refund()          {}
func (b impatient) Withdraw() bool { b.cancel(); return true }

// rateLimited reports whether err is in all respects what the client of Qdrant says of a limit.
func rateLimited(t *testing.T, err error, seconds int) {
	t.Helper()
	assert.Equal(t, codes.ResourceExhausted, status.Code(err), err)
	limited, ok := errors.AsType[*qdrant.QdrantResourceExhaustedError](err)
	require.True(t, ok, err)
	assert.Equal(t, seconds, limited.RetryAfterS)
	_, ok = errors.AsType[*qdrant.QdrantError](err)
	assert.True(t, ok, err)
	assert.True(t, resilience.Throttled(err))
	assert.Equal(t, "RESOURCE_EXHAUSTED", resilience.ErrorType(err))
}

func TestRetryAfterIsObeyed(t *testing.T) {
	t.Parallel()
	for _, seconds := range []int{1, 17, 30} {
		f, signals := newFake(t), signaltest.New()
		ctx, cancel := context.WithCancel(t.Context())
		f.store.make(collectionName, size)
		c, err := vectorstore.New(letters{}, vectorstore.Config{URL: f.url(), CollectionName: collectionName},
			vectorstore.WithBudget(impatient{cancel}), vectorstore.WithTelemetry(signals.Options()...))
		require.NoError(t, err)
		f.fail("Query", answers(codes.ResourceExhausted, "Rate limiting exceeded", "retry-after", strconv.Itoa(seconds)))
		var searchErr error
		events := signals.Span(ctx, func(ctx context.Context) {
			_, searchErr = c.SimilaritySearch(ctx, "apple", 1)
		})
		assert.ErrorIs(t, searchErr, retry.ErrCanceled)
		rateLimited(t, searchErr, seconds)
		require.Equal(t, []string{"resilience.attempt.failed", "resilience.retry.scheduled", "resilience.retry.stopped"}, signaltest.Names(events))
		assert.Equal(t, float64(seconds), events[1].Attributes["resilience.retry.delay"])
		assert.Equal(t, true, events[1].Attributes["resilience.retry.pushback"])
		assert.NoError(t, c.Close())
	}
}

func TestRetryAfterThatIsTooLong(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.store.make(collectionName, size)
	c, err := vectorstore.New(letters{}, vectorstore.Config{URL: f.url(), CollectionName: collectionName})
	require.NoError(t, err)
	defer func() { assert.NoError(t, c.Close()) }()
	f.fail("Query", answers(codes.ResourceExhausted, "Rate limiting exceeded", "retry-after", "31"))
	_, err = c.SimilaritySearch(t.Context(), "apple", 1)
	assert.ErrorIs(t, err, retry.ErrPushback, "the preset waits for 30s at most")
	rateLimited(t, err, 31)
	assert.Equal(t, resilience.ClassRefused, resilience.Classify(err))
	assert.Equal(t, 1, f.attempts("Query"))
}

func TestOtherLimits(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	c := newClient(t, f)
	count := func(want int, code codes.Code, trailers ...string) error {
		before := f.attempts("Count")
		f.fail("Count", answers(code, "limit", trailers...))
		_, err := c.Count(t.Context(), nil)
		assert.Equal(t, want, f.attempts("Count")-before, trailers)
		return err
	}
	assert.NoError(t, count(2, codes.ResourceExhausted, "retry-after", "0"), "at once")
	assert.NoError(t, count(2, codes.Unavailable, "retry-after", "0"))
	assert.NoError(t, count(2, codes.ResourceExhausted, "grpc-retry-pushback-ms", "0"))
	assert.NoError(t, count(2, codes.Unavailable, "grpc-retry-pushback-ms", "0"))

	err := count(1, codes.ResourceExhausted)
	assert.Equal(t, codes.ResourceExhausted, status.Code(err), "it may be a message that is too large")
	err = count(1, codes.ResourceExhausted, "retry-after", "soon")
	assert.Equal(t, codes.ResourceExhausted, status.Code(err))

	err = count(1, codes.Unavailable, "grpc-retry-pushback-ms", "-1")
	assert.Equal(t, codes.Unavailable, status.Code(err))
	assert.Equal(t, resilience.ClassRefused, resilience.Classify(err), "the layer below has tried already")
	err = count(1, codes.ResourceExhausted, "retry-after", "0", "grpc-retry-pushback-ms", "-1")
	rateLimited(t, err, 0)
	assert.Equal(t, resilience.ClassRefused, resilience.Classify(err))
}

// The client of Qdrant puts its interceptor once more around the others for each connection.
func TestRetryAfterOnEachConnection(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	c := newClient(t, f)
	for range 6 {
		f.fail("Count", answers(codes.ResourceExhausted, "limit", "retry-after", "3600"))
		_, err := c.Count(t.Context(), nil)
		assert.ErrorIs(t, err, retry.ErrPushback)
		rateLimited(t, err, 3600)
	}
	assert.Equal(t, 6, f.attempts("Count"))
	f.fail("Count", unavailable, unavailable, unavailable, unavailable)
	_, err := c.Count(t.Context(), nil)
	assert.ErrorIs(t, err, retry.ErrExhausted)
	assert.Equal(t, 10, f.attempts("Count"), "retried once, on whichever connection")
	assert.Equal(t, 3, f.connections())
}
