// Package retryaws gives the clients of the AWS SDK for Go v2 the retries of this toolkit:
// its rules, its telemetry and, above all, its budgets.
//
// The SDK retries by itself, up to three attempts a call, capped by a quota of its own for
// each client. Beside the retries of the rest of a service that is a second source of
// load, which no budget of the service sees. A [Retryer] replaces it for everything that is
// made of an [aws.Config]:
//
//	retries := budget.MustNew("backends")
//	retryer := retryaws.MustNew("aws", retryaws.WithBudget(retries))
//	err := retryer.Install(&cfg)
//	store := s3.NewFromConfig(cfg)
//
// Policies of package retry that are given the same budget share it with these clients.
//
// # What is retried
//
// What the SDK takes for retryable, its DefaultRetryables and the codes that a service adds,
// unless a mark by resilience.Permanent or resilience.Refused, or [WithClassifier], says
// otherwise; and the known transient failures of resilience.Classify. Any other answer of a
// service is permanent. A request whose signature was refused as the clocks differ is
// repeated with the time of the service, as the SDK does.
//
// # Delays
//
// Delays are those of a retry.Config, which [WithConfig] takes. After a throttling error
// they grow from [WithThrottleDelay] on. A service that says when to come back, by
// Retry-After or by x-amz-retry-after, is obeyed, unless that is longer than MaxPushback.
//
// # How a call ends
//
// A failure that is not retried is what the SDK returns. If the retryer would have gone on
// and could not, a [*retry.Error] stands in the tree of the error, with the SDK's own below
// it: errors.Is finds retry.ErrExhausted or retry.ErrBudgetExhausted, errors.As a
// smithy.APIError. It is a refusal, so a policy around the call does not multiply the
// attempts.
//
// Under a context by resilience.NoRetry, as the server middlewares of this toolkit set it
// for a request that is itself a repetition, nothing is retried.
package retryaws
