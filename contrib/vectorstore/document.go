package vectorstore

import (
	"github.com/qdrant/go-client/qdrant"
)

// A Document is a text with what is known of it. The ID is that of its point in Qdrant: a UUID
// or a decimal number.
type Document struct {
	ID      string
	Content string
	// Metadata holds null, booleans, numbers, strings, lists and maps of these. Numbers that are
	// read are int64 or float64, lists []any, and maps map[string]any.
	Metadata map[string]any
}

// A ScoredDocument is a Document with the score that Qdrant gave it. What the score means is for
// the collection to say: with the cosine distance, 1 is the most similar.
type ScoredDocument struct {
	Document

	Score float32
}

// document returns what stands in a point. A payload without a content makes an empty one, as
// points may come from anywhere.
func (c *Client) document(id *qdrant.PointId, payload map[string]*qdrant.Value) Document {
	metadata, _ := fromValue(payload[c.config.MetadataKey]).(map[string]any)
	return Document{ID: textOfID(id), Content: payload[c.config.ContentKey].GetStringValue(), Metadata: metadata}
}

func (c *Client) documents(points []*qdrant.ScoredPoint) []Document {
	docs := make([]Document, len(points))
	for i, p := range points {
		docs[i] = c.document(p.GetId(), p.GetPayload())
	}
	return docs
}

func (c *Client) retrieved(points []*qdrant.RetrievedPoint) []Document {
	docs := make([]Document, len(points))
	for i, p := range points {
		docs[i] = c.document(p.GetId(), p.GetPayload())
	}
	return docs
}
