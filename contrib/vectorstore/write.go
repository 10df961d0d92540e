package vectorstore

import (
	"context"
	"fmt"
	"slices"

	"github.com/qdrant/go-client/qdrant"
)

// batch is how many points an upsert has, so that none is larger than servers take. LangChain
// has the same number.
const batch = 64

// AddDocuments adds documents or replaces those with the same ID, and returns their IDs. A
// document without an ID gets one that follows from its content and its metadata: to add it
// again changes nothing, which makes it safe to repeat.
//
// All are embedded, one after the other, before the first is sent. They are sent by 64, each time
// waiting until they can be found. If that fails in the middle those before are there: call it
// again with the same documents.
func (c *Client) AddDocuments(ctx context.Context, docs ...Document) (ids []string, err error) {
	points := make([]*qdrant.PointStruct, len(docs))
	ids = make([]string, len(docs))
	for i, doc := range docs {
		if points[i], err = c.point(doc); err != nil {
			return nil, permanent(fmt.Errorf("document %d: %w", i, err))
		}
		ids[i] = textOfID(points[i].GetId())
	}
	for i, doc := range docs {
		vector, err := c.embed(ctx, doc.Content)
		if err != nil {
			return nil, err
		}
		points[i].Vectors = c.vectors(vector)
	}
	for some := range slices.Chunk(points, batch) {
		request := &qdrant.UpsertPoints{CollectionName: c.config.CollectionName, Points: some, Wait: new(true)}
		_, err := do(ctx, c, opAddDocuments, func(ctx context.Context) (*qdrant.UpdateResult, error) {
			return c.qdrant.Upsert(ctx, request)
		})
		if err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// Delete deletes the documents with these IDs, and waits until they can be found no more. Those
// that are not there are no error. Without IDs nothing is asked.
func (c *Client) Delete(ctx context.Context, ids ...string) error {
	if len(ids) == 0 {
		return nil
	}
	points, err := pointIDs(ids)
	if err != nil {
		return permanent(err)
	}
	request := &qdrant.DeletePoints{
		CollectionName: c.config.CollectionName,
		Points:         qdrant.NewPointsSelectorIDs(points),
		Wait:           new(true),
	}
	_, err = do(ctx, c, opDelete, func(ctx context.Context) (*qdrant.UpdateResult, error) {
		return c.qdrant.Delete(ctx, request)
	})
	return err
}

// point returns the point of a document, without its vector.
func (c *Client) point(doc Document) (*qdrant.PointStruct, error) {
	content, err := toValue(doc.Content, 0)
	if err != nil {
		return nil, fmt.Errorf("content: %w", err)
	}
	metadata := qdrant.NewValueFromFields(nil)
	if doc.Metadata != nil {
		if metadata, err = toValue(doc.Metadata, 0); err != nil {
			return nil, fmt.Errorf("metadata: %w", err)
		}
	}
	id := doc.ID
	if id == "" {
		if id, err = derivedID(doc.Content, metadata); err != nil {
			return nil, err
		}
	}
	point, err := pointID(id)
	if err != nil {
		return nil, err
	}
	return &qdrant.PointStruct{Id: point, Payload: map[string]*qdrant.Value{
		c.config.ContentKey: content, c.config.MetadataKey: metadata,
	}}, nil
}

func (c *Client) vectors(vector []float32) *qdrant.Vectors {
	if c.config.VectorName != "" {
		return qdrant.NewVectorsMap(map[string]*qdrant.Vector{c.config.VectorName: qdrant.NewVectorDense(vector)})
	}
	return qdrant.NewVectorsDense(vector)
}
