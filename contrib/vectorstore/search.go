package vectorstore

import (
	"context"
	"fmt"
	"math"

	"github.com/qdrant/go-client/qdrant"

	"github.com/observable-go/toolkit/resilience"
)

// SimilaritySearch returns the k documents that are the most similar to query, the most similar
// first; there are fewer if no more match.
func (c *Client) SimilaritySearch(ctx context.Context, query string, k int, opts ...SearchOption) ([]Document, error) {
	points, err := c.searchText(ctx, opSimilaritySearch, query, k, opts)
	if err != nil {
		return nil, err
	}
	return c.documents(points), nil
}

// SimilaritySearchWithScore is SimilaritySearch with the scores.
func (c *Client) SimilaritySearchWithScore(ctx context.Context, query string, k int, opts ...SearchOption) ([]ScoredDocument, error) {
	points, err := c.searchText(ctx, opSimilaritySearchWithScore, query, k, opts)
	if err != nil {
		return nil, err
	}
	docs := make([]ScoredDocument, len(points))
	for i, p := range points {
		docs[i] = ScoredDocument{c.document(p.GetId(), p.GetPayload()), p.GetScore()}
	}
	return docs, nil
}

// SimilaritySearchByVector is SimilaritySearch with a query that is a vector already.
func (c *Client) SimilaritySearchByVector(ctx context.Context, vector []float32, k int, opts ...SearchOption) ([]Document, error) {
	s, err := newSearch(k, opts, false)
	if err != nil {
		return nil, err
	}
	if err := checkVector("vector", vector); err != nil {
		return nil, err
	}
	points, err := c.search(ctx, opSimilaritySearchByVector, vector, k, s, nil)
	if err != nil {
		return nil, err
	}
	return c.documents(points), nil
}

// MaxMarginalRelevanceSearch returns k documents that are similar to query and not to each
// other. It asks for more candidates than k, 20 unless [WithFetchK] says otherwise, and takes of
// them by maximal marginal relevance (Carbonell and Goldstein 1998), with the lambda of
// [WithLambda]. The similarity by which it takes is the cosine.
func (c *Client) MaxMarginalRelevanceSearch(ctx context.Context, query string, k int, opts ...SearchOption) ([]Document, error) {
	s, err := newSearch(k, opts, true)
	if err != nil {
		return nil, err
	}
	vector, err := c.embed(ctx, query)
	if err != nil {
		return nil, err
	}
	vectors := qdrant.NewWithVectors(true)
	if c.config.VectorName != "" {
		vectors = qdrant.NewWithVectorsInclude(c.config.VectorName)
	}
	points, err := c.search(ctx, opMaxMarginalRelevance, vector, s.fetchK, s, vectors)
	if err != nil {
		return nil, err
	}
	candidates := make([][]float32, len(points))
	for i, p := range points {
		if candidates[i] = c.vectorOf(p); candidates[i] == nil {
			return nil, permanent(fmt.Errorf("point %s came without its dense vector", textOfID(p.GetId())))
		}
	}
	chosen := make([]*qdrant.ScoredPoint, 0, min(k, len(points)))
	for _, i := range diverse(vector, candidates, k, s.lambda) {
		chosen = append(chosen, points[i])
	}
	return c.documents(chosen), nil
}

func (c *Client) vectorOf(p *qdrant.ScoredPoint) []float32 {
	if name := c.config.VectorName; name != "" {
		return p.GetVectors().GetVectors().GetVectors()[name].GetDenseVector().GetData()
	}
	return p.GetVectors().GetVector().GetDenseVector().GetData()
}

func (c *Client) searchText(ctx context.Context, operation, query string, k int, opts []SearchOption) ([]*qdrant.ScoredPoint, error) {
	s, err := newSearch(k, opts, false)
	if err != nil {
		return nil, err
	}
	vector, err := c.embed(ctx, query)
	if err != nil {
		return nil, err
	}
	return c.search(ctx, operation, vector, k, s, nil)
}

func (c *Client) search(
	ctx context.Context, operation string, vector []float32, limit int, s search, vectors *qdrant.WithVectorsSelector,
) ([]*qdrant.ScoredPoint, error) {
	request := &qdrant.QueryPoints{
		CollectionName: c.config.CollectionName,
		Query:          qdrant.NewQueryDense(vector),
		Using:          c.vectorName(),
		Filter:         s.filter,
		ScoreThreshold: s.threshold,
		Limit:          new(uint64(limit)), //nolint:gosec // at least 1
		WithPayload:    qdrant.NewWithPayload(true),
		WithVectors:    vectors,
	}
	return do(ctx, c, operation, func(ctx context.Context) ([]*qdrant.ScoredPoint, error) {
		return c.qdrant.Query(ctx, request)
	})
}

// vectorName returns the name of the vector for a request, or nil if it has none.
func (c *Client) vectorName() *string {
	if c.config.VectorName == "" {
		return nil
	}
	return &c.config.VectorName
}

// embed returns the vector of a text.
func (c *Client) embed(ctx context.Context, text string) ([]float32, error) {
	vector, err := c.embedder.Embed(ctx, text)
	if err != nil {
		return nil, fmt.Errorf("vectorstore: embedding: %w", err)
	}
	return vector, checkVector("embedding", vector)
}

// checkVector reports what Qdrant could not compare.
func checkVector(field string, vector []float32) error {
	if len(vector) == 0 {
		return badArgument(field, "an empty vector", "at least 1 number")
	}
	for _, x := range vector {
		if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
			return badArgument(field, x, "finite numbers")
		}
	}
	return nil
}

// badArgument is the error of a call that a repetition would only repeat.
func badArgument(field string, value any, want string) error {
	return permanent(notAllowed(field, value, want))
}

func permanent(err error) error { return resilience.Permanent(fmt.Errorf("vectorstore: %w", err)) }
