// Package retryhttp puts the requests of an [http.Client] under a policy, and tells the
// services that a request passes of each other's retries.
//
//	client := &http.Client{Transport: retryhttp.MustNew(policy)}
//
// From there on client.Get and all others retry what may pass, and return what they would
// return without: an answer, of whatever status, or the error of the last attempt. The policy
// is any [resilience.Policy]; package stack makes a good one.
//
// # What is repeated
//
// A request is repeated if it failed with the status 408, 425, 429, 500, 502, 503 or 504, or
// with a failure of the connection that may pass, and if a second execution does no harm: if its
// method is idempotent, if it has an Idempotency-Key, or if [WithRepeatable] says so. A request
// of another method is repeated only if it never left, as no connection could be had. Bad
// certificates, bad URLs, unsupported schemes and the like are never met twice.
//
// Each attempt sends the same bytes. A body with GetBody, as [http.NewRequest] makes it of bytes and
// strings, is read anew, a file is sought back, and of others what was read is kept, up to
// [DefaultBufferLimit]. A request whose body cannot be sent again is not repeated.
//
// Where the server says when to come back, the policy waits for exactly that, or gives up if it
// is too long for it: Retry-After in seconds or as a date, by the clock of the server's own Date,
// and the fields of rate limits.
//
// # Answers
//
// The answer to a failed attempt is read ahead and dropped before the next one, within 64 KiB and
// 100 ms, so that its connection is used again. The answer of the last attempt is the caller's,
// whole. A timeout of an attempt ends when the header of an answer is there: reading the
// body is under the context of the request alone. A body that breaks off is not repeated, as the caller
// may have seen some of it. Upgraded connections, trailers, 100-continue and HTTP/2 work as
// they do without a policy.
//
// # With otelhttp
//
// As the base of a Transport, otelhttp makes a span of each attempt, which [ResendCount] numbers;
// around it one of the whole call, in which the attempts are events. Both together work too.
//
//	retryhttp.WithBase(otelhttp.NewTransport(retryhttp.ResendCount(http.DefaultTransport)))
//	&http.Client{Transport: otelhttp.NewTransport(retryhttp.MustNew(policy))}
//
// # Across layers
//
// Three services in a row that make 3 attempts each call the last one 27 times when it is down.
// Two signals prevent that. A repeated request has the header Previous-Attempts, and an answer
// of a service that gave up says X-Should-Retry: false. A Transport sends the first and obeys the
// second; [NewHandler] does the reverse.
//
//	handler, err := retryhttp.NewHandler(mux)
//
// With them the last one is called 3 times. The price is that each request has fewer chances:
// docs/http.md has the figures. The first signal is also in the OpenTelemetry baggage, by which
// it crosses services that do not know this package, if otelhttp stands inside of the Transport
// there and outside of the handler here.
//
// A handler may also stand under a policy of its own, such as a bulkhead: see [WithGuard].
package retryhttp
