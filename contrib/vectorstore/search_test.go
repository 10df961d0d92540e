package vectorstore_test

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/qdrant/go-client/qdrant"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/vectorstore"
	"github.com/observable-go/toolkit/resilience"
)

func TestSearch(t *testing.T) {
	t.Parallel()
	c := filled(t, newFake(t))
	ctx := t.Context()

	docs, err := c.SimilaritySearch(ctx, "apple pie", 2)
	require.NoError(t, err)
	assert.Equal(t, []string{"apple pie", "apple pies"}, contents(docs))
	assert.Equal(t, map[string]any{"kind": "cake"}, docs[0].Metadata)
	assert.NotEmpty(t, docs[0].ID)

	scored, err := c.SimilaritySearchWithScore(ctx, "banana", 10)
	require.NoError(t, err)
	require.Len(t, scored, len(fruits), "k is more than there are")
	assert.Equal(t, "banana", scored[0].Content)
	assert.InDelta(t, 1, scored[0].Score, 1e-6)
	assert.Less(t, scored[1].Score, scored[0].Score)

	vector, _ := letters{}.Embed(ctx, "zucchini")
	docs, err = c.SimilaritySearchByVector(ctx, vector, 1)
	require.NoError(t, err)
	assert.Equal(t, []string{"zucchini"}, contents(docs))
}

func TestSearchWithFilterAndThreshold(t *testing.T) {
	t.Parallel()
	c := filled(t, newFake(t))
	cake := &qdrant.Filter{Must: []*qdrant.Condition{qdrant.NewMatch("metadata.kind", "cake")}}

	docs, err := c.SimilaritySearch(t.Context(), "banana", 10, vectorstore.WithFilter(cake), nil)
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{"apple pie", "apple pies"}, contents(docs))

	docs, err = c.SimilaritySearch(t.Context(), "banana", 10, vectorstore.WithScoreThreshold(0.9))
	require.NoError(t, err)
	assert.Equal(t, []string{"banana"}, contents(docs))

	docs, err = c.SimilaritySearch(t.Context(), "banana", 10, vectorstore.WithScoreThreshold(0.9), vectorstore.WithFilter(cake))
	require.NoError(t, err)
	assert.Empty(t, docs)
}

func TestMaxMarginalRelevanceSearch(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	c := filled(t, f)
	search := func(k int, opts ...vectorstore.SearchOption) []string {
		docs, err := c.MaxMarginalRelevanceSearch(t.Context(), "apple pie", k, opts...)
		require.NoError(t, err)
		return contents(docs)
	}
	assert.Equal(t, []string{"apple pie", "apple pies"}, search(2, vectorstore.WithLambda(1)), "similarity alone")
	assert.Equal(t, "apple pie", search(2, vectorstore.WithLambda(0.2))[0])
	assert.NotContains(t, search(2, vectorstore.WithLambda(0.2)), "apple pies", "it is nearly the same")
	assert.Equal(t, []string{"apple pie", "apple pies"}, search(2, vectorstore.WithLambda(0.2), vectorstore.WithFetchK(2)), "no other candidate")
	assert.Len(t, search(math.MaxInt), len(fruits))
}

func TestNamedVector(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	c := newClientOf(t, f, vectorstore.Config{
		URL: f.url(), CollectionName: collectionName, VectorName: "text", ContentKey: "body", MetadataKey: "about",
	}, vectorstore.WithPolicy(policy()))
	_, err := c.AddDocuments(t.Context(), fruits...)
	require.NoError(t, err)
	docs, err := c.SimilaritySearch(t.Context(), "banana", 1)
	require.NoError(t, err)
	assert.Equal(t, []string{"banana"}, contents(docs))
	assert.Equal(t, map[string]any{"kind": "fruit"}, docs[0].Metadata)
	docs, err = c.MaxMarginalRelevanceSearch(t.Context(), "banana", 2)
	require.NoError(t, err)
	assert.Equal(t, "banana", docs[0].Content)
	point, err := c.Qdrant().Get(t.Context(), &qdrant.GetPoints{CollectionName: collectionName, Ids: []*qdrant.PointId{qdrant.NewIDUUID(docs[0].ID)}})
	require.NoError(t, err)
	assert.Equal(t, "banana", point[0].GetPayload()["body"].GetStringValue())
}

func TestBadArguments(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	c := newClient(t, f)
	ctx := t.Context()
	search := func(k int, opts ...vectorstore.SearchOption) error {
		_, err := c.SimilaritySearch(ctx, "q", k, opts...)
		return err
	}
	mmr := func(k int, opts ...vectorstore.SearchOption) error {
		_, err := c.MaxMarginalRelevanceSearch(ctx, "q", k, opts...)
		return err
	}
	byVector := func(vector ...float32) error {
		_, err := c.SimilaritySearchByVector(ctx, vector, 1)
		return err
	}
	scroll := func(limit int, from string) error {
		_, _, err := c.Scroll(ctx, nil, limit, from)
		return err
	}
	_, getErr := c.Get(ctx, "12", "twelve")
	nan := float32(math.NaN())
	for want, err := range map[string]error{
		"vectorstore: k: 0 is not allowed: want at least 1":                                                              search(0),
		"vectorstore: k: -1 is not allowed: want at least 1":                                                             mmr(-1),
		"vectorstore: lambda: 1.5 is not allowed: want 0 to 1":                                                           mmr(1, vectorstore.WithLambda(1.5)),
		"vectorstore: lambda: NaN is not allowed: want 0 to 1":                                                           mmr(1, vectorstore.WithLambda(math.NaN())),
		"vectorstore: fetch_k: 2 is not allowed: want at least k, which is 3":                                            mmr(3, vectorstore.WithFetchK(2)),
		"vectorstore: score_threshold: NaN is not allowed: want a finite number":                                         search(1, vectorstore.WithScoreThreshold(nan)),
		"vectorstore: options: WithFetchK or WithLambda is not allowed: want these for MaxMarginalRelevanceSearch alone": search(1, vectorstore.WithFetchK(9)),
		"vectorstore: vector: an empty vector is not allowed: want at least 1 number":                                    byVector(),
		"vectorstore: vector: NaN is not allowed: want finite numbers":                                                   byVector(1, nan),
		"vectorstore: limit: 0 is not allowed: want 1 to 4294967295":                                                     scroll(0, ""),
		`vectorstore: id: "x" is not allowed: want a UUID or a whole number of 0 to 18446744073709551615`:                scroll(1, "x"),
		`vectorstore: id: "twelve" is not allowed: want a UUID or a whole number of 0 to 18446744073709551615`:           getErr,
	} {
		assert.EqualError(t, err, want)
		assert.Equal(t, resilience.ClassPermanent, resilience.Classify(err))
	}
	assert.Empty(t, f.requests("Query"))
	assert.Empty(t, f.requests("Scroll"))
	assert.Empty(t, f.requests("Get"))
}

func TestEmbedderThatFails(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	errNoModel, calls := errors.New("no model"), 0
	embedder := embedFunc(func(context.Context, string) ([]float32, error) {
		calls++
		return nil, resilience.Retryable(errNoModel)
	})
	c, err := vectorstore.New(embedder, vectorstore.Config{URL: f.url(), CollectionName: collectionName}, vectorstore.WithPolicy(policy()))
	require.NoError(t, err)
	defer func() { assert.NoError(t, c.Close()) }()
	_, err = c.SimilaritySearch(t.Context(), "q", 1)
	assert.ErrorIs(t, err, errNoModel)
	assert.EqualError(t, err, "vectorstore: embedding: no model")
	_, err = c.MaxMarginalRelevanceSearch(t.Context(), "q", 1)
	assert.ErrorIs(t, err, errNoModel)
	_, err = c.AddDocuments(t.Context(), fruits...)
	assert.ErrorIs(t, err, errNoModel)
	assert.Equal(t, 3, calls, "the retries of an embedder are its own")
	assert.Empty(t, f.calls)
}

func TestEmbedderThatReturnsNothing(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	for want, vector := range map[string][]float32{
		"vectorstore: embedding: an empty vector is not allowed: want at least 1 number": nil,
		"vectorstore: embedding: +Inf is not allowed: want finite numbers":               {1, float32(math.Inf(1))},
	} {
		embedder := embedFunc(func(context.Context, string) ([]float32, error) { return vector, nil })
		c, err := vectorstore.New(embedder, vectorstore.Config{URL: f.url(), CollectionName: collectionName})
		require.NoError(t, err)
		_, err = c.SimilaritySearch(t.Context(), "q", 1)
		assert.EqualError(t, err, want)
		assert.NoError(t, c.Close())
	}
	assert.Empty(t, f.calls)
}
