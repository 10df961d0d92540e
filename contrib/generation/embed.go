package generation

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/observable-go/toolkit/resilience"
)

// Embed returns the embedding of a text. It is what the client of a vector store asks for:
//
//	interface{ Embed(ctx context.Context, text string) ([]float32, error) }
func (c *Client) Embed(ctx context.Context, text string) ([]float32, error) {
	all, err := c.EmbedAll(ctx, []string{text})
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// EmbedAll returns the embeddings of texts, in their order, by one request. How many texts it
// may have is the server's to say; OpenAI takes 2048. An answer with vectors that are missing, empty,
// not of numbers or out of the range of float32 is [ErrMalformed]. No texts make no request.
func (c *Client) EmbedAll(ctx context.Context, texts []string, opts ...option.RequestOption) ([][]float32, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	params := openai.EmbeddingNewParams{
		Model: c.embeddingModel,
		Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: texts},
	}
	body, err := encode(params)
	if err != nil {
		return nil, err
	}
	opts = c.call(body, opts)
	return resilience.DoValue(ctx, c.embed, func(ctx context.Context) ([][]float32, error) {
		answer, err := exchange(ctx, func(ctx context.Context) (*openai.CreateEmbeddingResponse, error) {
			return c.once.Embeddings.New(ctx, params, opts...)
		})
		if err != nil {
			return nil, err
		}
		if len(answer.Data) == 0 {
			return nil, noAnswer(answer.RawJSON(), "it has no embeddings")
		}
		return vectors(answer.Data, len(texts))
	})
}

// vectors returns the vectors of an answer in the order of their indices.
func vectors(data []openai.Embedding, want int) ([][]float32, error) {
	if len(data) != want {
		return nil, &malformed{what: fmt.Sprintf("it has %d embeddings for %d texts", len(data), want)}
	}
	all := make([][]float32, want)
	for _, d := range data {
		if d.Index < 0 || d.Index >= int64(want) || all[d.Index] != nil {
			return nil, &malformed{what: fmt.Sprintf("it has an embedding of index %d too many", d.Index)}
		}
		if strings.Contains(d.JSON.Embedding.Raw(), "null") { // a NaN to some servers, and 0 to the official client
			return nil, &malformed{what: fmt.Sprintf("the embedding of index %d has a null", d.Index)}
		}
		if len(d.Embedding) == 0 {
			return nil, &malformed{what: fmt.Sprintf("the embedding of index %d is empty", d.Index)}
		}
		vector := make([]float32, len(d.Embedding))
		for i, x := range d.Embedding {
			if math.Abs(x) > math.MaxFloat32 || math.IsNaN(x) {
				return nil, &malformed{what: fmt.Sprintf("the embedding of index %d is out of range", d.Index)}
			}
			vector[i] = float32(x)
		}
		all[d.Index] = vector
	}
	return all, nil
}
