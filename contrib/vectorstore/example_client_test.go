package vectorstore_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"

	"github.com/qdrant/go-client/qdrant"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/observable-go/toolkit/contrib/vectorstore"
	"github.com/observable-go/toolkit/resilience/retry"
)

// A service for the examples. Real ones are at a URL such as http://localhost:6334.
func exampleServer() (url string, f *fake, stop func()) {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	f = startFake(listener)
	return f.url(), f, f.server.Stop
}

// A search is retried when Qdrant does not answer, by a configuration from a file.
func ExampleClient_SimilaritySearch() {
	url, server, stop := exampleServer()
	defer stop()
	ctx := context.Background()

	var config vectorstore.Config
	err := json.Unmarshal([]byte(`{
		"url": "http://localhost:6334",
		"collection_name": "documents",
		"retry": {"max_retries": 3, "initial_delay": "1ms", "max_delay": "30s"}
	}`), &config)
	if err != nil {
		panic(err)
	}
	config.URL = url

	store, err := vectorstore.New(letters{}, config) // an Embedder of yours
	if err != nil {
		panic(err)
	}
	defer store.Close()

	err = store.Qdrant().CreateCollection(ctx, &qdrant.CreateCollection{
		CollectionName: "documents",
		VectorsConfig:  qdrant.NewVectorsConfig(&qdrant.VectorParams{Size: 26, Distance: qdrant.Distance_Cosine}),
	})
	if err != nil {
		panic(err)
	}
	_, err = store.AddDocuments(ctx,
		vectorstore.Document{Content: "retries with jitter", Metadata: map[string]any{"page": 7}},
		vectorstore.Document{Content: "circuit breakers", Metadata: map[string]any{"page": 19}},
	)
	if err != nil {
		panic(err)
	}

	server.fail("Query", unavailable, unavailable) // a restart
	docs, err := store.SimilaritySearch(ctx, "jitter", 1)
	if err != nil {
		panic(err)
	}
	fmt.Println(docs[0].Content, docs[0].Metadata["page"])
	fmt.Println(server.attempts("Query"), "attempts")
	// Output:
	// retries with jitter 7
	// 3 attempts
}

// Errors are those of the client of Qdrant, and of the policy if it gave up.
func ExampleClient_errors() {
	url, server, stop := exampleServer()
	defer stop()
	store, err := vectorstore.New(letters{}, vectorstore.Config{URL: url, CollectionName: "documents"})
	if err != nil {
		panic(err)
	}
	defer store.Close()

	_, err = store.Count(context.Background(), nil)
	fmt.Println(status.Code(err) == codes.NotFound)

	server.fail("Count", answers(codes.ResourceExhausted, "too many requests", "retry-after", "60"))
	_, err = store.Count(context.Background(), nil)
	if limited, ok := errors.AsType[*qdrant.QdrantResourceExhaustedError](err); ok {
		fmt.Println("come back in", limited.RetryAfterS, "seconds")
	}
	fmt.Println(errors.Is(err, retry.ErrPushback)) // longer than max_delay
	// Output:
	// true
	// come back in 60 seconds
	// true
}
