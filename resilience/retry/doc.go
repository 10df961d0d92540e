// Package retry repeats calls that fail, with growing delays, within limits that
// keep an outage from becoming a storm.
//
// Make a [Policy] for each callee, or for each operation of a callee, and share it:
//
//	var inventory = retry.MustNew("inventory.get")
//
//	item, err := retry.DoValue(ctx, inventory, func(ctx context.Context) (Item, error) {
//		return client.Get(ctx, id)
//	})
//
// Without options that is up to 3 retries, after at most 1 s, 2 s and 4 s, each delay
// drawn by chance from 0 to that, and only of failures that may pass. The name says in
// metrics, traces and logs whose retries these are.
//
// A repetition is only right if a second execution of the operation does no harm. A
// timeout does not say that nothing happened. Give operations that write an
// idempotency key, or do not retry them.
//
// # Forms of a call
//
// [DoValue] runs an operation with a value, [Policy.Do] one without. [Wrap] makes a
// function that retries by itself, and [Wrap1] one with an argument; resilience.Go runs a call in a goroutine of its own.
//
// [Policy.Attempts] makes the body of a loop the operation:
//
//	var err error
//	for ctx := range policy.Attempts(ctx, &err) {
//		err = handle(ctx, message)
//	}
//
// [Poll] repeats what has not failed but is not done yet. A [Client] is embedded in
// the client of a service and gives each of its operations a name.
//
// # Delays and limits
//
// The n-th retry, counted from 0, waits at most InitialDelay * ExponentialBase^n, and
// never longer than MaxDelay. Jitter draws the delay from 0 to that: callers that
// failed together shall not come back together. Package backoff has other forms, for
// [WithBackoff].
//
// A call ends with the first of these limits:
//
//   - MaxRetries, 3 by default
//   - the deadline of the context: a delay that would outlast it is not begun
//   - [WithMaxElapsed], which bars retries that would start later than that
//   - [WithBudget], which caps the retries of everything that shares the budget
//
// [WithAttemptTimeout] bounds each attempt, and its timeouts are retried. The context
// of an attempt ends with the attempt then: what an operation hands out beyond that
// needs resilience.Retain.
//
// When the callee says when to come back, by resilience.RetryAfter or by an error with
// a method RetryAfter() (time.Duration, bool), the policy waits exactly that long
// instead. If that is longer than [WithMaxPushback] allows, MaxDelay by default, the
// call ends: to come back earlier would do harm.
//
// # What is retried
//
// Known transient failures are: timeouts, temporary DNS failures, connections that
// were refused, reset, aborted or broken, and the like. So are errors that say so
// themselves, and those that options name:
//
//	retry.WithRetryable(ErrBusy)                  // errors.Is
//	retry.WithRetryableType[*RateLimitError]()    // errors.As
//	retry.WithPermanentType[*ValidationError]()   // never
//	retry.WithClassifier(func(err error) resilience.Class { ... })
//
// An error on which nobody has an opinion is not retried, and the call counts as
// "unclassified" rather than "not_retryable", so that the gap is seen. The whole order
// of authority is that of resilience.Rules; [Policy.Classify] applies it.
//
// # How a call ends
//
// If an attempt succeeds the error is nil. If a failure is not to be retried, at
// whichever attempt, it is returned as it is: a caller sees the same error with and
// without the policy. If the policy would have gone on but could not, the error is an
// [*Error]:
//
//	if errors.Is(err, retry.ErrBudgetExhausted) { ... } // the reason
//	if errors.Is(err, ErrOutOfStock) { ... }            // the last failure
//	if gaveUp, ok := errors.AsType[*retry.Error](err); ok { ... gaveUp.Attempts ... }
//
// Where a function that retries calls another that retries, 4 attempts each make 4
// calls and not 16: the [*Error] of a call that made a retry is itself not retried.
//
// The value of the last attempt is returned beside the error. A panic of the operation
// is counted and goes on up.
//
// # Configuration
//
// [Config] is what may stand in a file or in the environment, [WithConfig] takes it,
// and [Policy.Update] replaces it while the service runs. [FastCall], [DatabaseQuery],
// [VectorSearch], [LLMGeneration] and [BatchJob] are starting points.
//
//	config := retry.FastCall()
//	err := json.Unmarshal([]byte(`{"max_retries": 5, "initial_delay": "200ms"}`), &config)
//
// # Telemetry
//
// By default a policy counts and times its calls with OpenTelemetry, and leaves events
// on the span of the caller, through the global providers. [WithTelemetry] takes the
// options of package telemetry: spans of its own, log lines, other providers, or
// nothing at all.
//
// # Tests
//
// Code that uses a policy is tested under testing/synctest, where waits take no time.
// TestCheckoutSurvivesRestart in example_synctest_test.go shows how.
package retry
