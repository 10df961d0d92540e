package vectorstore_test

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/qdrant/go-client/qdrant"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// store is a small Qdrant: collections of points, found by the cosine.
type store struct {
	mu          sync.Mutex
	collections map[string]*collection
}

type collection struct {
	size   int
	points map[string]*qdrant.PointStruct
}

func newStore() *store { return &store{collections: make(map[string]*collection)} }

// make makes a collection.
func (s *store) make(name string, size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.collections[name] = &collection{size: size, points: make(map[string]*qdrant.PointStruct)}
}

func (s *store) find(name string) (*collection, error) {
	if c := s.collections[name]; c != nil {
		return c, nil
	}
	return nil, status.Errorf(codes.NotFound, "Not found: Collection `%s` doesn't exist!", name)
}

// matching returns the points that match a filter, in the order of their IDs.
func (c *collection) matching(filter *qdrant.Filter) (points []*qdrant.PointStruct) {
	for _, p := range c.points {
		if matches(p, filter) {
			points = append(points, p)
		}
	}
	slices.SortFunc(points, func(a, b *qdrant.PointStruct) int { return cmp.Compare(idKey(a.GetId()), idKey(b.GetId())) })
	return points
}

// matches knows conditions that a keyword stands in the payload.
func matches(p *qdrant.PointStruct, filter *qdrant.Filter) bool {
	for _, condition := range filter.GetMust() {
		field, value := condition.GetField(), qdrant.NewValueFromFields(p.GetPayload())
		for step := range strings.SplitSeq(field.GetKey(), ".") {
			value = value.GetStructValue().GetFields()[step]
		}
		if value.GetStringValue() != field.GetMatch().GetKeyword() {
			return false
		}
	}
	return true
}

func idKey(id *qdrant.PointId) string { return id.String() }

// vector returns that of the name, in either form that a client may send it.
func vector(p *qdrant.PointStruct, name string) []float32 {
	if name != "" {
		return p.GetVectors().GetVectors().GetVectors()[name].GetDense().GetData()
	}
	return p.GetVectors().GetVector().GetDense().GetData()
}

func cosine(a, b []float32) float32 {
	var ab, aa, bb float64
	for i := range a {
		ab += float64(a[i]) * float64(b[i])
		aa += float64(a[i]) * float64(a[i])
		bb += float64(b[i]) * float64(b[i])
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return float32(ab / math.Sqrt(aa*bb))
}

type points struct {
	qdrant.UnimplementedPointsServer

	store *store
}

func (s points) Query(_ context.Context, r *qdrant.QueryPoints) (*qdrant.QueryResponse, error) {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	c, err := s.store.find(r.GetCollectionName())
	if err != nil {
		return nil, err
	}
	query := r.GetQuery().GetNearest().GetDense().GetData()
	if len(query) != c.size {
		return nil, status.Errorf(codes.InvalidArgument, "Wrong input: Vector dimension error: expected dim: %d, got %d", c.size, len(query))
	}
	var found []*qdrant.ScoredPoint
	for _, p := range c.matching(r.GetFilter()) {
		v := vector(p, r.GetUsing())
		score := cosine(query, v)
		if r.ScoreThreshold != nil && score < r.GetScoreThreshold() {
			continue
		}
		scored := &qdrant.ScoredPoint{Id: p.GetId(), Payload: p.GetPayload(), Score: score}
		if r.GetWithVectors().GetEnable() {
			scored.Vectors = &qdrant.VectorsOutput{VectorsOptions: &qdrant.VectorsOutput_Vector{Vector: dense(v)}}
		}
		for _, name := range r.GetWithVectors().GetInclude().GetNames() {
			scored.Vectors = &qdrant.VectorsOutput{VectorsOptions: &qdrant.VectorsOutput_Vectors{Vectors: &qdrant.NamedVectorsOutput{
				Vectors: map[string]*qdrant.VectorOutput{name: dense(vector(p, name))},
			}}}
		}
		found = append(found, scored)
	}
	slices.SortStableFunc(found, func(a, b *qdrant.ScoredPoint) int { return cmp.Compare(b.GetScore(), a.GetScore()) })
	return &qdrant.QueryResponse{Result: found[:min(len(found), int(r.GetLimit()))]}, nil
}

func dense(v []float32) *qdrant.VectorOutput {
	return &qdrant.VectorOutput{Vector: &qdrant.VectorOutput_Dense{Dense: &qdrant.DenseVector{Data: v}}}
}

func (s points) Scroll(_ context.Context, r *qdrant.ScrollPoints) (*qdrant.ScrollResponse, error) {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	c, err := s.store.find(r.GetCollectionName())
	if err != nil {
		return nil, err
	}
	answer := &qdrant.ScrollResponse{}
	for _, p := range c.matching(r.GetFilter()) {
		if r.GetOffset() != nil && idKey(p.GetId()) < idKey(r.GetOffset()) {
			continue
		}
		if len(answer.GetResult()) == int(r.GetLimit()) {
			answer.NextPageOffset = p.GetId()
			break
		}
		answer.Result = append(answer.Result, &qdrant.RetrievedPoint{Id: p.GetId(), Payload: p.GetPayload()})
	}
	return answer, nil
}

func (s points) Get(_ context.Context, r *qdrant.GetPoints) (*qdrant.GetResponse, error) {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	c, err := s.store.find(r.GetCollectionName())
	if err != nil {
		return nil, err
	}
	answer := &qdrant.GetResponse{}
	for _, id := range r.GetIds() {
		if p := c.points[idKey(id)]; p != nil {
			answer.Result = append(answer.Result, &qdrant.RetrievedPoint{Id: p.GetId(), Payload: p.GetPayload()})
		}
	}
	return answer, nil
}

func (s points) Count(_ context.Context, r *qdrant.CountPoints) (*qdrant.CountResponse, error) {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	c, err := s.store.find(r.GetCollectionName())
	if err != nil {
		return nil, err
	}
	return &qdrant.CountResponse{Result: &qdrant.CountResult{Count: uint64(len(c.matching(r.GetFilter())))}}, nil
}

func (s points) Upsert(_ context.Context, r *qdrant.UpsertPoints) (*qdrant.PointsOperationResponse, error) {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	c, err := s.store.find(r.GetCollectionName())
	if err != nil {
		return nil, err
	}
	for _, p := range r.GetPoints() {
		c.points[idKey(p.GetId())] = p
	}
	return &qdrant.PointsOperationResponse{Result: &qdrant.UpdateResult{Status: qdrant.UpdateStatus_Completed}}, nil
}

func (s points) Delete(_ context.Context, r *qdrant.DeletePoints) (*qdrant.PointsOperationResponse, error) {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	c, err := s.store.find(r.GetCollectionName())
	if err != nil {
		return nil, err
	}
	for _, id := range r.GetPoints().GetPoints().GetIds() {
		delete(c.points, idKey(id))
	}
	return &qdrant.PointsOperationResponse{Result: &qdrant.UpdateResult{Status: qdrant.UpdateStatus_Completed}}, nil
}

type collections struct {
	qdrant.UnimplementedCollectionsServer

	store *store
}

func (s collections) Create(_ context.Context, r *qdrant.CreateCollection) (*qdrant.CollectionOperationResponse, error) {
	s.store.make(r.GetCollectionName(), int(r.GetVectorsConfig().GetParams().GetSize()))
	return &qdrant.CollectionOperationResponse{Result: true}, nil
}

type health struct {
	qdrant.UnimplementedQdrantServer
}

func (health) HealthCheck(context.Context, *qdrant.HealthCheckRequest) (*qdrant.HealthCheckReply, error) {
	return &qdrant.HealthCheckReply{Title: "qdrant - vector search engine", Version: "1.17.0"}, nil
}
