package vectorstore_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/vectorstore"
	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// letters embeds a text as how often it has each letter, so that texts with the same words are
// similar.
type letters struct{}

const size = 26

func (letters) Embed(ctx context.Context, text string) ([]float32, error) {
	vector := make([]float32, size)
	for _, r := range strings.ToLower(text) {
		if r >= 'a' && r <= 'z' {
			vector[r-'a']++
		}
	}
	return vector, ctx.Err()
}

// embedFunc is an Embedder.
type embedFunc func(ctx context.Context, text string) ([]float32, error)

func (f embedFunc) Embed(ctx context.Context, text string) ([]float32, error) { return f(ctx, text) }

const collectionName = "documents"

// policy retries three times at once, and has no telemetry.
func policy(opts ...retry.Option) *retry.Policy {
	return told([]telemetry.Option{telemetry.Off()}, opts...)
}

// told is policy with telemetry.
func told(to []telemetry.Option, opts ...retry.Option) *retry.Policy {
	opts = append(opts, retry.WithBackoff(backoff.Constant{}), retry.WithTelemetry(to...))
	return retry.MustNew("store", opts...)
}

// newClient returns a client of the fake with an empty collection.
func newClient(t *testing.T, f *fake, opts ...vectorstore.Option) *vectorstore.Client {
	t.Helper()
	return newClientOf(t, f, vectorstore.Config{URL: f.url(), CollectionName: collectionName},
		append([]vectorstore.Option{vectorstore.WithPolicy(policy())}, opts...)...)
}

func newClientOf(t *testing.T, f *fake, cfg vectorstore.Config, opts ...vectorstore.Option) *vectorstore.Client {
	t.Helper()
	f.store.make(collectionName, size)
	c, err := vectorstore.New(letters{}, cfg, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

var fruits = []vectorstore.Document{
	{Content: "apple pie", Metadata: map[string]any{"kind": "cake"}},
	{Content: "apple pies", Metadata: map[string]any{"kind": "cake"}},
	{Content: "banana", Metadata: map[string]any{"kind": "fruit"}},
	{Content: "zucchini", Metadata: map[string]any{"kind": "vegetable"}},
}

// filled is newClient with the fruits in the collection.
func filled(t *testing.T, f *fake) *vectorstore.Client {
	t.Helper()
	c := newClient(t, f)
	_, err := c.AddDocuments(context.Background(), fruits...)
	require.NoError(t, err)
	return c
}

func contents(docs []vectorstore.Document) []string {
	texts := make([]string, len(docs))
	for i, doc := range docs {
		texts[i] = doc.Content
	}
	return texts
}
