package vectorstore_test

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/qdrant/go-client/qdrant"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/vectorstore"
)

func TestAddGetCountScrollDelete(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	c := newClient(t, f)
	ctx := t.Context()
	docs := []vectorstore.Document{
		{ID: "1", Content: "one"},
		{ID: "2", Content: "two", Metadata: map[string]any{"kind": "even"}},
		{ID: "A987FBC9-4BED-4078-8F07-9141BA07C9F3", Content: "three"},
	}
	ids, err := c.AddDocuments(ctx, docs...)
	require.NoError(t, err)
	assert.Equal(t, []string{"1", "2", "a987fbc9-4bed-4078-8f07-9141ba07c9f3"}, ids)

	got, err := c.Get(ctx, ids[1], "77", ids[2])
	require.NoError(t, err)
	assert.Equal(t, []string{"two", "three"}, contents(got), "77 is not there")
	assert.Equal(t, docs[1], got[0])

	n, err := c.Count(ctx, nil)
	require.NoError(t, err)
	assert.Equal(t, uint64(3), n)
	even := &qdrant.Filter{Must: []*qdrant.Condition{qdrant.NewMatch("metadata.kind", "even")}}
	n, err = c.Count(ctx, even)
	require.NoError(t, err)
	assert.Equal(t, uint64(1), n)

	var seen []string
	pages := 0
	for from := ""; pages == 0 || from != ""; pages++ {
		page, next, err := c.Scroll(ctx, nil, 2, from)
		require.NoError(t, err)
		seen, from = append(seen, contents(page)...), next
	}
	assert.Equal(t, 2, pages)
	assert.ElementsMatch(t, []string{"one", "two", "three"}, seen)

	require.NoError(t, c.Delete(ctx, ids[0], ids[2], "77"))
	n, err = c.Count(ctx, nil)
	require.NoError(t, err)
	assert.Equal(t, uint64(1), n)

	asked := len(f.requests("Get")) + len(f.requests("Delete"))
	require.NoError(t, c.Delete(ctx))
	none, err := c.Get(ctx)
	require.NoError(t, err)
	assert.Empty(t, none)
	assert.Equal(t, asked, len(f.requests("Get"))+len(f.requests("Delete")), "there was nothing to ask")
}

func TestAddDocumentsInBatches(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	c := newClient(t, f)
	docs := make([]vectorstore.Document, 150)
	for i := range docs {
		docs[i].Content = fmt.Sprintf("document %d", i)
	}
	ids, err := c.AddDocuments(t.Context(), docs...)
	require.NoError(t, err)
	assert.Len(t, ids, 150)
	assert.Equal(t, 3, f.attempts("Upsert"))
	n, err := c.Count(t.Context(), nil)
	require.NoError(t, err)
	assert.Equal(t, uint64(150), n)
	none, err := c.AddDocuments(t.Context())
	require.NoError(t, err)
	assert.Empty(t, none)
}

// The ID of a document that has none follows from what it says, today and in a year.
func TestDerivedIDs(t *testing.T) {
	t.Parallel()
	c := newClient(t, newFake(t))
	ids, err := c.AddDocuments(t.Context(),
		vectorstore.Document{Content: "apple"},
		vectorstore.Document{Content: "apple", Metadata: map[string]any{"page": 1, "book": "a"}},
		vectorstore.Document{Content: "apple", Metadata: map[string]any{"book": "a", "page": int64(1)}},
		vectorstore.Document{Content: "apple", Metadata: map[string]any{"book": "a", "page": 2}},
		vectorstore.Document{Content: "apple", Metadata: map[string]any{}},
	)
	require.NoError(t, err)
	assert.Equal(t, ids[1], ids[2], "the order of keys and the size of an integer say nothing")
	assert.Equal(t, ids[0], ids[4])
	assert.NotEqual(t, ids[0], ids[1])
	assert.NotEqual(t, ids[1], ids[3])
	assert.Equal(t, "d3f9c6e6-564a-868d-9ac7-bcea34cb5da7", ids[0])
	for _, id := range ids {
		assert.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, id)
	}
	n, err := c.Count(t.Context(), nil)
	require.NoError(t, err)
	assert.Equal(t, uint64(3), n)
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	c := newClient(t, newFake(t))
	type language string
	said := map[string]any{
		"null": nil, "bool": true, "int": -5, "uint8": uint8(7), "big": int64(math.MaxInt64), "float": 1.0, "float32": float32(0.5),
		"string": "ä", "language": language("de"), "strings": []string{"a", "b"}, "array": [2]int{1, 2}, "bytes": []byte("ab"),
		"map": map[string]int{"x": 1}, "time": time.Date(2026, 1, 8, 12, 34, 56, 0, time.UTC), "nothing": (*time.Time)(nil),
		"number": json.Number("12"), "decimal": json.Number("1.25"), "nested": map[string]any{"list": []any{map[string]any{"y": "z"}}},
		"pointer": new("text"),
	}
	ids, err := c.AddDocuments(t.Context(), vectorstore.Document{Content: "x", Metadata: said})
	require.NoError(t, err)
	docs, err := c.Get(t.Context(), ids...)
	require.NoError(t, err)
	assert.Equal(t, map[string]any{
		"null": nil, "bool": true, "int": int64(-5), "uint8": int64(7), "big": int64(math.MaxInt64), "float": 1.0, "float32": 0.5,
		"string": "ä", "language": "de", "strings": []any{"a", "b"}, "array": []any{int64(1), int64(2)}, "bytes": "YWI=",
		"map": map[string]any{"x": int64(1)}, "time": "2026-01-08T12:34:56Z", "nothing": nil,
		"number": int64(12), "decimal": 1.25, "nested": map[string]any{"list": []any{map[string]any{"y": "z"}}},
		"pointer": "text",
	}, docs[0].Metadata)
}

func TestDocumentsThatCannotBeStored(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	c := newClient(t, f)
	endless := map[string]any{}
	endless["self"] = endless
	with := func(v any) vectorstore.Document {
		return vectorstore.Document{Metadata: map[string]any{"a": []any{v}}}
	}
	for want, doc := range map[string]vectorstore.Document{
		`document 1: id: "x" is not allowed: want a UUID or a whole number of 0 to 18446744073709551615`:             {ID: "x"},
		`document 1: content: "\xff" is not UTF-8`:                                                                   {Content: "\xff"},
		`document 1: metadata: "a": [0]: 18446744073709551615 is more than 9223372036854775807`:                      with(uint64(math.MaxUint64)),
		`document 1: metadata: "a": [0]: NaN is no finite number`:                                                    with(math.NaN()),
		`document 1: metadata: "a": [0]: "\xff" is not UTF-8`:                                                        with("\xff"),
		`document 1: metadata: "a": [0]: the key "\xff" is not UTF-8`:                                                with(map[string]any{"\xff": 1}),
		`document 1: metadata: "a": [0]: a chan int cannot be stored`:                                                with(make(chan int)),
		`document 1: metadata: "a": [0]: a map[int]int cannot be stored: its keys are no strings`:                    with(map[int]int{1: 1}),
		`document 1: metadata: "a": [0]: 9223372036854775809 is not in -9223372036854775808 to 9223372036854775807`:  with(json.Number("9223372036854775809")),
		`document 1: metadata: "a": [0]: -9223372036854775809 is not in -9223372036854775808 to 9223372036854775807`: with(json.Number("-9223372036854775809")),
		`document 1: metadata: "a": [0]: "1e999" is no number`:                                                       with(json.Number("1e999")),
	} {
		_, err := c.AddDocuments(t.Context(), fruits[0], doc)
		assert.EqualError(t, err, "vectorstore: "+want)
	}
	_, err := c.AddDocuments(t.Context(), fruits[0], with(endless))
	require.Error(t, err)
	assert.True(t, strings.HasSuffix(err.Error(), "it is nested more than 64 deep"), err)
	assert.Empty(t, f.calls, "all or none")
}

// Points may come from anywhere.
func TestForeignPoints(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	c := newClient(t, f)
	vector := make([]float32, size)
	vector[0] = 1
	_, err := c.Qdrant().Upsert(t.Context(), &qdrant.UpsertPoints{CollectionName: collectionName, Points: []*qdrant.PointStruct{
		{Id: qdrant.NewIDNum(1), Vectors: qdrant.NewVectorsDense(vector), Payload: map[string]*qdrant.Value{
			"page_content": qdrant.NewValueInt(1), "metadata": qdrant.NewValueString("text"),
		}},
		{Id: qdrant.NewIDNum(2), Vectors: qdrant.NewVectorsDense(vector)},
	}})
	require.NoError(t, err)
	docs, err := c.SimilaritySearch(t.Context(), "a", 5)
	require.NoError(t, err)
	assert.Equal(t, []vectorstore.Document{{ID: "1"}, {ID: "2"}}, docs)
}
