package generation_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/generation"
)

// What clients of vector stores ask for.
var _ interface {
	Embed(ctx context.Context, text string) ([]float32, error)
} = (*generation.Client)(nil)

func TestEmbed(t *testing.T) {
	t.Parallel()
	s := newServer(t, answers(200, `{"data": [{"index": 0, "embedding": [0.5, -1]}]}`))
	vector, err := s.client(t, `{"embedding_model": "bge"}`).Embed(t.Context(), "text")
	require.NoError(t, err)
	assert.Equal(t, []float32{0.5, -1}, vector)
	assert.Equal(t, "/v1/embeddings", s.requests()[0].path)
	assert.JSONEq(t, `{"model": "bge", "input": ["text"]}`, s.requests()[0].body)
}

func TestEmbedAll(t *testing.T) {
	t.Parallel()
	s := newServer(t, fails(503, ""), answers(200, `{"data": [{"index": 1, "embedding": [2]}, {"index": 0, "embedding": "AACAPw=="}]}`))
	client := s.client(t, "")
	vectors, err := client.EmbedAll(t.Context(), []string{"a", "b"})
	require.NoError(t, err)
	assert.Equal(t, [][]float32{{1}, {2}}, vectors, "in the order of the texts")
	require.Len(t, s.requests(), 2)
	assert.Equal(t, s.requests()[0].body, s.requests()[1].body)

	vectors, err = client.EmbedAll(t.Context(), nil)
	require.NoError(t, err)
	assert.Empty(t, vectors)
	assert.Len(t, s.requests(), 2)
}

func TestEmbedFaults(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"none":         answers(200, `{"data": []}`),
		"too few":      answers(200, `{"data": [{"index": 0, "embedding": [1]}]}`),
		"twice":        answers(200, `{"data": [{"index": 0, "embedding": [1]}, {"index": 0, "embedding": [1]}]}`),
		"beyond":       answers(200, `{"data": [{"index": 0, "embedding": [1]}, {"index": 2, "embedding": [1]}]}`),
		"negative":     answers(200, `{"data": [{"index": 0, "embedding": [1]}, {"index": -1, "embedding": [1]}]}`),
		"empty":        answers(200, `{"data": [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": []}]}`),
		"out of range": answers(200, `{"data": [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": [1e300]}]}`),
		"null":         answers(200, `null`),
		"NaN as null":  answers(200, `{"data": [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": [null, 1]}]}`),
		"no numbers":   answers(200, `{"data": [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": "?"}]}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, answer)
			_, err := s.client(t, "").EmbedAll(t.Context(), []string{"a", "b"})
			assert.ErrorIs(t, err, generation.ErrMalformed)
			assert.Len(t, s.requests(), 3)
		})
	}
}
