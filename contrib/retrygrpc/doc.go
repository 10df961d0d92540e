// Package retrygrpc runs gRPC calls under a policy: it retries them well, and keeps the retries
// of several services from multiplying.
//
//	policy := retry.MustNew("orders")
//	conn, err := grpc.NewClient(target, append(retrygrpc.DialOptions(policy), credentials)...)
//
// That is an interceptor for unary calls, one for streams, and [grpc.WithDisableRetry], as the
// attempts of a retryPolicy in a service config would multiply with those of the policy. The
// policy may be any resilience.Policy: a retry, a stack, a chain with a breaker.
//
// # What is repeated
//
//   - UNAVAILABLE. It does not say that nothing happened: a connection that breaks after the
//     request was sent ends with it too. [WithMethods] names the methods that may be executed
//     twice; the others are not repeated. [Idempotent] reads it from their definition.
//   - RESOURCE_EXHAUSTED, if the server says when to come back.
//   - DEADLINE_EXCEEDED, if the time of the attempt was over, and not that of the call.
//   - The codes of [WithCodes].
//
// A server says when to come back by google.rpc.RetryInfo in the details of the status, by
// retry-after in its headers or trailers, or by grpc-retry-pushback-ms in its trailers (gRFC A6);
// the longest time counts. A negative or malformed grpc-retry-pushback-ms says not to come back.
//
// Options for one call stand beside those of package grpc:
//
//	order, err := client.Place(ctx, req, retrygrpc.CallPolicy(nil)) // once
//
// # Streams
//
// A stream is repeated until its first message was received: what was sent is kept and sent
// again, up to [WithReplayLimit], and to the caller it is one stream. After that a failure is
// the caller's, who knows where to go on. See [Client.Stream].
//
// # Errors
//
// status.FromError and status.Code find the status of the last attempt in each error, with its
// details. The error of a policy that gave up is there too:
//
//	if errors.Is(err, retry.ErrBudgetExhausted) { ... }
//
// In telemetry error.type is the name of the code as in "UNAVAILABLE". Circuit breakers take
// codes such as NOT_FOUND for successes, as the callee did its part.
//
// # Servers
//
// [ServerOptions] make a server heed what its clients say of their retries, and tell them of its
// own:
//
//	server := grpc.NewServer(retrygrpc.ServerOptions()...)
//
// A repeated call carries grpc-previous-rpc-attempts. While a handler serves one, policies under
// its context make no retries: those of the client would multiply them. If retries were made in
// vain, the answer carries grpc-retry-pushback-ms: -1, and a client with this package or with
// gRPC's own retries makes none. [WithGuard] puts a bulkhead, a rate limit or a breaker around
// the handlers.
package retrygrpc
