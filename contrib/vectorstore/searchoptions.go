package vectorstore

import (
	"fmt"
	"math"

	"github.com/qdrant/go-client/qdrant"
)

// A SearchOption changes a setting of one search.
type SearchOption func(*search) error

type search struct {
	filter    *qdrant.Filter
	threshold *float32
	fetchK    int
	lambda    float64
	diverse   bool // an option was given that is for MaxMarginalRelevanceSearch alone
}

// Defaults of a MaxMarginalRelevanceSearch, which are LangChain's.
const (
	DefaultFetchK = 20
	DefaultLambda = 0.5
)

// WithFilter finds only points that match f, which must not be changed during the search.
// Metadata is under "metadata.", as in
//
//	vectorstore.WithFilter(&qdrant.Filter{Must: []*qdrant.Condition{qdrant.NewMatch("metadata.language", "en")}})
//
// A nil f matches all points.
func WithFilter(f *qdrant.Filter) SearchOption {
	return func(s *search) error { s.filter = f; return nil }
}

// WithScoreThreshold leaves out what scores worse, which is lower or, with a distance, greater.
func WithScoreThreshold(score float32) SearchOption {
	return func(s *search) error {
		if math.IsNaN(float64(score)) || math.IsInf(float64(score), 0) {
			return badArgument("score_threshold", score, "a finite number")
		}
		s.threshold = &score
		return nil
	}
}

// WithFetchK sets how many candidates a MaxMarginalRelevanceSearch asks for: k or more. By
// default it is 20, or k if that is more.
func WithFetchK(n int) SearchOption {
	return func(s *search) error { s.fetchK, s.diverse = n, true; return nil }
}

// WithLambda sets how a MaxMarginalRelevanceSearch weighs similarity to the query, 1, against
// being different from each other, 0. It is 0.5 by default.
func WithLambda(lambda float64) SearchOption {
	return func(s *search) error {
		s.lambda, s.diverse = lambda, true
		if !(lambda >= 0 && lambda <= 1) {
			return badArgument("lambda", lambda, "0 to 1")
		}
		return nil
	}
}

// newSearch returns the settings for a search of k documents.
func newSearch(k int, opts []SearchOption, diverse bool) (search, error) {
	s := search{lambda: DefaultLambda, fetchK: max(DefaultFetchK, k)}
	if k < 1 {
		return s, badArgument("k", k, "at least 1")
	}
	for _, opt := range opts {
		if opt == nil {
			continue
		}
		if err := opt(&s); err != nil {
			return s, err
		}
	}
	if s.diverse && !diverse {
		return s, badArgument("options", "WithFetchK or WithLambda", "these for MaxMarginalRelevanceSearch alone")
	}
	if s.fetchK < k {
		return s, badArgument("fetch_k", s.fetchK, fmt.Sprintf("at least k, which is %d", k))
	}
	return s, nil
}
