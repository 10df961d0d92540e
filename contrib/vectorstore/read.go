package vectorstore

import (
	"context"
	"fmt"
	"math"

	"github.com/qdrant/go-client/qdrant"
)

// Get returns the documents with these IDs. Those that are not there are left out, and the order
// is Qdrant's. Without IDs nothing is asked.
func (c *Client) Get(ctx context.Context, ids ...string) ([]Document, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	points, err := pointIDs(ids)
	if err != nil {
		return nil, permanent(err)
	}
	request := &qdrant.GetPoints{
		CollectionName: c.config.CollectionName,
		Ids:            points,
		WithPayload:    qdrant.NewWithPayload(true),
	}
	found, err := do(ctx, c, opGet, func(ctx context.Context) ([]*qdrant.RetrievedPoint, error) {
		return c.qdrant.Get(ctx, request)
	})
	if err != nil {
		return nil, err
	}
	return c.retrieved(found), nil
}

// Scroll returns a page of up to limit documents that match the filter, in the order of their
// IDs, and the ID with which the next page begins. A nil filter matches all. The first page is
// that from "", and after the last one next is "".
func (c *Client) Scroll(ctx context.Context, filter *qdrant.Filter, limit int, from string) (page []Document, next string, err error) {
	if limit < 1 || int64(limit) > math.MaxUint32 {
		return nil, "", badArgument("limit", limit, fmt.Sprintf("1 to %d", uint32(math.MaxUint32)))
	}
	request := &qdrant.ScrollPoints{
		CollectionName: c.config.CollectionName,
		Filter:         filter,
		Limit:          new(uint32(limit)),
		WithPayload:    qdrant.NewWithPayload(true),
	}
	if from != "" {
		if request.Offset, err = pointID(from); err != nil {
			return nil, "", permanent(err)
		}
	}
	var after *qdrant.PointId
	points, err := do(ctx, c, opScroll, func(ctx context.Context) (points []*qdrant.RetrievedPoint, err error) {
		points, after, err = c.qdrant.ScrollAndOffset(ctx, request)
		return points, err
	})
	if err != nil {
		return nil, "", err
	}
	return c.retrieved(points), textOfID(after), nil
}

// Count returns how many documents match the filter, counted exactly. A nil filter matches all.
func (c *Client) Count(ctx context.Context, filter *qdrant.Filter) (uint64, error) {
	request := &qdrant.CountPoints{CollectionName: c.config.CollectionName, Filter: filter, Exact: new(true)}
	return do(ctx, c, opCount, func(ctx context.Context) (uint64, error) {
		return c.qdrant.Count(ctx, request)
	})
}
