package vectorstore_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/qdrant/go-client/qdrant"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/observable-go/toolkit/contrib/vectorstore"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retry"
)

// methods are all that a Client does, with the method of the protocol that each calls once.
var methods = map[string]struct {
	wire string
	call func(ctx context.Context, c *vectorstore.Client) (any, error)
}{
	"similarity_search": {"Query", func(ctx context.Context, c *vectorstore.Client) (any, error) {
		return c.SimilaritySearch(ctx, "apple", 2)
	}},
	"similarity_search_with_score": {"Query", func(ctx context.Context, c *vectorstore.Client) (any, error) {
		return c.SimilaritySearchWithScore(ctx, "apple", 2)
	}},
	"similarity_search_by_vector": {"Query", func(ctx context.Context, c *vectorstore.Client) (any, error) {
		return c.SimilaritySearchByVector(ctx, make([]float32, size), 2)
	}},
	"max_marginal_relevance_search": {"Query", func(ctx context.Context, c *vectorstore.Client) (any, error) {
		return c.MaxMarginalRelevanceSearch(ctx, "apple", 2)
	}},
	"get": {"Get", func(ctx context.Context, c *vectorstore.Client) (any, error) {
		return c.Get(ctx, "1", "2")
	}},
	"scroll": {"Scroll", func(ctx context.Context, c *vectorstore.Client) (any, error) {
		page, _, err := c.Scroll(ctx, nil, 2, "")
		return page, err
	}},
	"count": {"Count", func(ctx context.Context, c *vectorstore.Client) (any, error) {
		return c.Count(ctx, nil)
	}},
	"add_documents": {"Upsert", func(ctx context.Context, c *vectorstore.Client) (any, error) {
		return c.AddDocuments(ctx, append(fruits, detailed)...)
	}},
	"delete": {"Delete", func(ctx context.Context, c *vectorstore.Client) (any, error) {
		return nil, c.Delete(ctx, "1")
	}},
}

// detailed has many keys, whose order is of chance in Go.
var detailed = vectorstore.Document{Content: "fig", Metadata: map[string]any{
	"a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6, "g": 7, "h": 8, "i": 9, "j": 10, "k": 11, "l": 12,
}}

func TestEveryMethodIsRetried(t *testing.T) {
	t.Parallel()
	for name, method := range methods {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			c := filled(t, f)
			want, err := method.call(t.Context(), c)
			require.NoError(t, err)
			before := f.attempts(method.wire)
			f.fail(method.wire, unavailable, unavailable, f.cut)
			got, err := method.call(t.Context(), c)
			require.NoError(t, err)
			assert.Equal(t, want, got)
			attempts := f.requests(method.wire)[before:]
			require.Len(t, attempts, 4)
			for n, attempt := range attempts {
				assert.NotEmpty(t, attempt.bytes)
				assert.Equal(t, attempts[0].bytes, attempt.bytes, "the same request each time")
				assert.Equal(t, [][]string{nil, {"1"}, {"2"}, {"3"}}[n], attempt.header.Get("grpc-previous-rpc-attempts"))
			}
		})
	}
}

func TestEveryMethodGivesUp(t *testing.T) {
	t.Parallel()
	for name, method := range methods {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			c := newClient(t, f)
			f.fail(method.wire, unavailable, unavailable, unavailable, unavailable, unavailable)
			_, err := method.call(t.Context(), c)
			assert.ErrorIs(t, err, retry.ErrExhausted)
			gaveUp, ok := errors.AsType[*retry.Error](err)
			require.True(t, ok)
			assert.Equal(t, "vectorstore."+name, gaveUp.Policy)
			assert.Equal(t, 4, gaveUp.Attempts)
			assert.Equal(t, codes.Unavailable, status.Code(err))
			_, ok = errors.AsType[*qdrant.QdrantError](err)
			assert.True(t, ok)
			assert.Equal(t, 4, f.attempts(method.wire))
		})
	}
}

// A repetition of what is wrong or missing would end no better.
func TestPermanentErrors(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	c := newClient(t, f)
	check := func(err error, code codes.Code, method string) {
		t.Helper()
		assert.Equal(t, code, status.Code(err), err)
		_, ok := errors.AsType[*qdrant.QdrantError](err)
		assert.True(t, ok)
		_, gaveUp := errors.AsType[*retry.Error](err)
		assert.False(t, gaveUp, "it is returned as it is")
		assert.Equal(t, 1, f.attempts(method))
	}
	_, err := c.SimilaritySearchByVector(t.Context(), []float32{1, 2}, 3)
	check(err, codes.InvalidArgument, "Query")

	f.store.mu.Lock()
	clear(f.store.collections)
	f.store.mu.Unlock()
	_, err = c.Count(t.Context(), nil)
	check(err, codes.NotFound, "Count")
	assert.EqualError(t, err, "Count() failed: documents: rpc error: code = NotFound desc = Not found: Collection `documents` doesn't exist!")

	f.fail("Get", answers(codes.Unauthenticated, "Invalid API key"))
	_, err = c.Get(t.Context(), "1")
	check(err, codes.Unauthenticated, "Get")
	f.fail("Scroll", answers(codes.Internal, "segment is broken"))
	_, _, err = c.Scroll(t.Context(), nil, 1, "")
	check(err, codes.Internal, "Scroll")
}

// A timeout that the server speaks of may be over at the next attempt.
func TestServerTimeout(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	c := newClient(t, f)
	f.fail("Count", answers(codes.DeadlineExceeded, "the shard did not answer"))
	_, err := c.Count(t.Context(), nil)
	assert.NoError(t, err)
	assert.Equal(t, 2, f.attempts("Count"))
}

func TestAttemptTimeout(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	c := newClient(t, f, vectorstore.WithPolicy(policy(retry.WithAttemptTimeout(300*time.Millisecond))))
	f.fail("Count", hangs, hangs)
	_, err := c.Count(t.Context(), nil)
	assert.NoError(t, err)
	assert.Equal(t, 3, f.attempts("Count"))
}

// One deadline is for the embedding and for the search.
func TestOneDeadline(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.store.make(collectionName, size)
	ctx, cancel := context.WithCancel(t.Context())
	embedder := embedFunc(func(ctx context.Context, text string) ([]float32, error) {
		vector, err := letters{}.Embed(ctx, text)
		cancel() // there is no time left
		return vector, err
	})
	c, err := vectorstore.New(embedder, vectorstore.Config{URL: f.url(), CollectionName: collectionName})
	require.NoError(t, err)
	defer func() { assert.NoError(t, c.Close()) }()
	_, err = c.SimilaritySearch(ctx, "apple", 1)
	assert.ErrorIs(t, err, context.Canceled)
	assert.ErrorIs(t, err, retry.ErrCanceled)
	assert.Zero(t, f.attempts("Query"))

	ctx, cancel = context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	waits := newClient(t, f)
	f.fail("Query", hangs)
	_, err = waits.SimilaritySearch(ctx, "apple", 1)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Equal(t, codes.DeadlineExceeded, status.Code(err))
	assert.Equal(t, 1, f.attempts("Query"))
}

// What was written and not confirmed is written again, and is there once.
func TestWriteIsIdempotent(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	c := newClient(t, f)
	f.fail("Upsert", unheard, unheard)
	ids, err := c.AddDocuments(t.Context(), fruits...)
	require.NoError(t, err)
	assert.Equal(t, 3, f.attempts("Upsert"))
	again, err := c.AddDocuments(t.Context(), fruits...)
	require.NoError(t, err)
	assert.Equal(t, ids, again)
	n, err := c.Count(t.Context(), nil)
	require.NoError(t, err)
	assert.Equal(t, uint64(len(fruits)), n)
	f.fail("Delete", unheard)
	require.NoError(t, c.Delete(t.Context(), ids...))
	n, err = c.Count(t.Context(), nil)
	require.NoError(t, err)
	assert.Zero(t, n)
}

func TestNestedRetriesDoNotMultiply(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	limited := answers(codes.ResourceExhausted, "too many requests", "retry-after", "3600")
	for range 16 {
		f.fail("Count", unavailable)
		f.fail("Get", limited)
	}
	c := newClient(t, f)
	outer := policy()
	err := outer.Do(t.Context(), func(ctx context.Context) error {
		_, err := c.Count(ctx, nil)
		return err
	})
	assert.ErrorIs(t, err, retry.ErrExhausted)
	assert.Equal(t, 4, f.attempts("Count"))
	err = outer.Do(t.Context(), func(ctx context.Context) error {
		_, err := c.Get(ctx, "1")
		return err
	})
	assert.ErrorIs(t, err, retry.ErrPushback)
	assert.Equal(t, 1, f.attempts("Get"))
	// One that leaves the retries to the policy outside.
	once := newClient(t, f, vectorstore.WithPolicy(nil))
	f.fail("Scroll", unavailable, f.cut)
	err = outer.Do(t.Context(), func(ctx context.Context) error {
		_, _, err := once.Scroll(ctx, nil, 1, "")
		return err
	})
	assert.NoError(t, err)
	assert.Equal(t, 3, f.attempts("Scroll"))
}

func TestNoRetry(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	c := newClient(t, f)
	f.fail("Count", unavailable)
	_, err := c.Count(resilience.NoRetry(t.Context()), nil)
	assert.Equal(t, codes.Unavailable, status.Code(err))
	assert.Equal(t, 1, f.attempts("Count"))
	// What is beneath is not retried either, and its errors speak for themselves.
	f.fail("Count", unavailable)
	_, err = c.Qdrant().Count(t.Context(), &qdrant.CountPoints{CollectionName: collectionName})
	assert.Equal(t, codes.Unavailable, status.Code(err))
	assert.Equal(t, resilience.ClassRetryable, resilience.Classify(err))
	assert.Equal(t, 2, f.attempts("Count"))
}

// Qdrant may start after the service, and stop in between.
func TestServerThatIsNotThereYet(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())

	var f *fake
	c, err := vectorstore.New(letters{}, vectorstore.Config{URL: "http://" + address, CollectionName: collectionName},
		vectorstore.WithPolicy(policy(retry.WithOnRetry(func(ctx context.Context, _ retry.Retry) {
			listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
			if assert.NoError(t, err) {
				f = startFake(listener)
				f.store.make(collectionName, size)
			}
		}))))
	require.NoError(t, err)
	defer func() { assert.NoError(t, c.Close()) }()
	assert.Equal(t, codes.Unavailable, status.Code(c.Health(t.Context())))
	n, err := c.Count(t.Context(), nil)
	require.NoError(t, err)
	assert.Zero(t, n)
	defer f.server.Stop()
	assert.Equal(t, 1, f.attempts("Count"))
}
