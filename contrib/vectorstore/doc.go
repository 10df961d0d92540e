// Package vectorstore finds documents that are similar to a text, in a collection of Qdrant. Every
// call is retried when it fails in a way that may pass.
//
//	store, err := vectorstore.New(embedder, vectorstore.Config{
//		URL:            "http://localhost:6334",
//		CollectionName: "documents",
//	})
//	if err != nil {
//		return err
//	}
//	defer store.Close()
//
//	docs, err := store.SimilaritySearch(ctx, "how do retries end?", 4)
//
// The [Embedder] is yours: what turns a text into a vector. It has retries of its own, if it needs
// any; the deadline of the context is for the embedding and the search together. The client of
// Qdrant, github.com/qdrant/go-client, is beneath, over gRPC, and [Client.Qdrant] returns it.
//
// # Searching
//
// [Client.SimilaritySearch] returns documents, [Client.SimilaritySearchWithScore] their scores
// too, and [Client.SimilaritySearchByVector] takes a vector in place of a text.
// [Client.MaxMarginalRelevanceSearch] avoids documents that say the same. [WithFilter] takes any
// filter of Qdrant, and [WithScoreThreshold] leaves out what is too far away. [Client.Get],
// [Client.Scroll] and [Client.Count] ask without a vector.
//
// # Writing
//
// [Client.AddDocuments] overwrites what has the same ID, and the ID of a document that has none
// follows from its content and metadata. So it can be repeated without harm, as can
// [Client.Delete], and both are retried.
//
// The collection must be there: [Client.Qdrant] can make it.
//
// # Retries
//
// By default there are up to 3 retries, after at most 1 s, 2 s and 4 s, as retry.VectorSearch
// says; Config.Retry changes that, [WithBudget] caps them, and [WithPolicy] puts any other
// policy in their place. Repeated are:
//
//   - UNAVAILABLE, which is also what a connection that broke or was refused becomes
//   - DEADLINE_EXCEEDED, as long as the caller has time left
//   - RESOURCE_EXHAUSTED if Qdrant says by retry-after when to come back; that time is waited
//     exactly, or not at all if it is longer than the policy allows
//
// What is wrong or missing, such as an unknown collection, is not repeated, nor is what the server
// asks not to repeat. Each attempt sends the same bytes, on another connection if there is one. A
// repeated one says so in its metadata, as gRFC A6 has it.
//
// In telemetry each operation has its name: "vectorstore.similarity_search" and so on.
//
// # Errors
//
// An error of Qdrant is a *qdrant.QdrantError as its client returns it, and status.Code
// finds its code. If the policy gave up it is in a *retry.Error. A limit is also a
// *qdrant.QdrantResourceExhaustedError, with its code, which Qdrant's client leaves out.
// Arguments that are not allowed are errors before anything is sent.
//
// The key of Config.APIKey is in no error and in no telemetry.
package vectorstore
