package vectorstore

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/qdrant/go-client/qdrant"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/observable-go/toolkit/contrib/retrygrpc"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retry"
)

// An Embedder turns a text into a vector. It must be safe for use by several goroutines at once,
// obey the context, and give the same vector for the same text. Its calls are not repeated by
// the Client: it has its own retries, if it needs any.
type Embedder interface {
	Embed(ctx context.Context, text string) ([]float32, error)
}

// A Client finds and keeps the documents of one collection. It is safe for use by several
// goroutines at once. Close frees its connections.
type Client struct {
	embedder Embedder
	config   Config // with its defaults
	qdrant   *qdrant.Client
	policies map[string]resilience.Policy // by operation
	close    func() error
}

// The operations, by their names in telemetry.
const (
	opSimilaritySearch          = "similarity_search"
	opSimilaritySearchWithScore = "similarity_search_with_score"
	opSimilaritySearchByVector  = "similarity_search_by_vector"
	opMaxMarginalRelevance      = "max_marginal_relevance_search"
	opGet                       = "get"
	opScroll                    = "scroll"
	opCount                     = "count"
	opAddDocuments              = "add_documents"
	opDelete                    = "delete"
)

var operations = []string{
	opSimilaritySearch, opSimilaritySearchWithScore, opSimilaritySearchByVector, opMaxMarginalRelevance,
	opGet, opScroll, opCount, opAddDocuments, opDelete,
}

// connections is how many connections there are, by turns: the number that the client of Qdrant
// has by default.
const connections = 3

// New returns a Client. It does not connect yet, so that a service can start before Qdrant does;
// [Client.Health] tells whether it is there.
func New(embedder Embedder, cfg Config, opts ...Option) (*Client, error) {
	c, err := newClient(embedder, cfg, opts)
	if err != nil {
		return nil, fmt.Errorf("vectorstore: %w", err)
	}
	return c, nil
}

func newClient(embedder Embedder, cfg Config, opts []Option) (*Client, error) {
	if embedder == nil {
		return nil, notAllowed("embedder", "nil", "an Embedder")
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := settings{name: "vectorstore"}
	for _, opt := range opts {
		if opt == nil {
			continue
		}
		if err := opt(&s); err != nil {
			return nil, err
		}
	}
	full, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	policy, err := s.policyFor(full, cfg.Retry != retry.Config{})
	if err != nil {
		return nil, err
	}
	c := &Client{embedder: embedder, config: full, policies: make(map[string]resilience.Policy)}
	for _, operation := range operations {
		c.policies[operation] = resilience.Named(policy, s.name+"."+operation)
	}
	if err := c.dial(s.dial); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Client) dial(opts []grpc.DialOption) error {
	at, err := parseURL(c.config.URL)
	if err != nil {
		return err
	}
	// It runs each attempt once: it reads what the answer says of a repetition, and tells the
	// server of those before. The policies stand around the calls of the client of Qdrant, so that
	// each attempt takes another of its connections.
	attempts, err := retrygrpc.New(nil, retrygrpc.WithCodes(codes.Unavailable, codes.DeadlineExceeded))
	if err != nil {
		return err
	}
	own := append([]grpc.DialOption{
		grpc.WithChainUnaryInterceptor(listen),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(newSteadyCodec())),
	}, attempts.DialOptions()...)
	c.qdrant, err = qdrant.NewClient(&qdrant.Config{
		Host: at.host, Port: at.port, UseTLS: at.tls,
		APIKey:   c.config.APIKey.Reveal(),
		PoolSize: connections,
		// It would wait for the server for a minute, and write to the default logger.
		SkipCompatibilityCheck: true,
		GrpcOptions:            append(own, opts...),
	})
	if err != nil {
		return err
	}
	// Close of the client of Qdrant is not safe while calls are made, and calls after it panic:
	// the connections are closed one by one. They are handed out by turns.
	conns := make([]*qdrant.GrpcClient, connections)
	for i := range conns {
		conns[i] = c.qdrant.GetGrpcClient()
	}
	c.close = sync.OnceValue(func() error {
		errs := make([]error, len(conns))
		for i, conn := range conns {
			errs[i] = conn.Close()
		}
		return errors.Join(errs...)
	})
	return nil
}

// Qdrant returns the client of Qdrant beneath, for all that a Client does not do, such as making
// the collection. Calls by it are not retried. It must not be closed: Close does that.
func (c *Client) Qdrant() *qdrant.Client { return c.qdrant }

// Health asks Qdrant whether it is there. It is not retried: a probe asks again by itself.
func (c *Client) Health(ctx context.Context) error {
	_, err := c.qdrant.HealthCheck(ctx)
	return err
}

// Close closes the connections. Calls that are made end with an error, as do those that come
// later. It may be called several times.
func (c *Client) Close() error { return c.close() }
