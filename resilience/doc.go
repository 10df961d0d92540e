// Package resilience is the contract of the toolkit: what a policy is, how policies
// are composed, and what an error says about a repetition. The policies themselves
// live in packages of their own; most programs start with
// [github.com/observable-go/toolkit/resilience/retry].
//
// A [Policy] runs an operation: once, several times, later or not at all.
//
//	err := policy.Do(ctx, func(ctx context.Context) error {
//		return store.Save(ctx, order)
//	})
//
// An operation must use the context that it is given, not that of the caller: it
// carries the deadline of the attempt.
//
// # Values, decorators and goroutines
//
// A Policy knows only errors. [DoValue] runs what also returns a value:
//
//	item, err := resilience.DoValue(ctx, policy, func(ctx context.Context) (Item, error) {
//		return inventory.Get(ctx, id)
//	})
//
// [Wrap] and [Wrap1] decorate a function once, so that callers do not see the policy:
//
//	get := resilience.Wrap1(policy, inventory.Get) // func(context.Context, string) (Item, error)
//	item, err := get(ctx, id)
//
// [Go] runs the call in a goroutine of its own:
//
//	future := resilience.Go(ctx, policy, refresh)
//	// ... something else ...
//	value, err := future.Await(ctx)
//
// # Composition
//
// [Chain] makes one policy of several, outermost first. The order matters: a limit
// outside of a retry counts calls, one inside of it counts attempts.
//
//	client := resilience.Chain(retries, limiter)
//
// The order that serves most callers is total timeout, retry, rate limit, circuit breaker,
// bulkhead, attempt timeout; [github.com/observable-go/toolkit/resilience/stack] has it in
// one call. [Check] finds three mistakes that are known, for a test:
//
//	problems := resilience.Check(client)
//
// [Named] gives a policy the name of the operation that it runs, also through a Chain.
// The rules, budgets and later updates stay shared; telemetry tells the operations
// apart.
//
//	search := resilience.Named(client, "inventory.search")
//
// A function is a Policy through [PolicyFunc]. This is how a library that knows
// nothing of this one takes its place in a Chain:
//
//	limiter := resilience.PolicyFunc(func(ctx context.Context, op resilience.Operation) error {
//		if err := limit.Wait(ctx); err != nil { // a *rate.Limiter
//			return resilience.Refused(err)
//		}
//		return op(ctx)
//	})
//
// A nil Policy, where [DoValue], [Wrap], [Go] and [Chain] take one, stands for none:
// the operation runs once.
//
// # What an error says
//
// A policy that repeats needs to know whether that would help. Every error has a
// [Class], which [Classify] returns:
//
//   - [ClassRetryable]: it may be over at the next attempt
//   - [ClassPermanent]: a repetition would only repeat it
//   - [ClassRefused]: a policy on this side refused, or gave up; nobody is to repeat it
//   - [ClassUnknown]: nobody has an opinion; such an error is not repeated
//
// Timeouts, temporary DNS failures and failures of connections are retryable by
// default. For others the code that knows best says so with a mark:
//
//	switch {
//	case status == http.StatusTooManyRequests:
//		return resilience.RetryAfter(err, after) // fewer calls; after 0 it said no time
//	case status >= 500:
//		return resilience.Retryable(err)
//	case status >= 400:
//		return resilience.Permanent(err)
//	}
//
// Marks change neither the message of an error nor what errors.Is and errors.As find
// in it. An error type can say the same by methods, so that a library needs no import
// of this package:
//
//	Retryable() bool
//	RetryAfter() (time.Duration, bool)
//	ErrorType() string // its name in telemetry, see [ErrorType]
//
// [Rules] are the whole order of authority, and how to change it.
//
// What the callee did is another question than what is to be repeated. [CalleeError]
// returns its failure and whether it was asked, and [Throttled] whether it asked for fewer
// calls. Error types have a say in these by
//
//	LastFailure() error // of a policy that gave up
//	NotSent() bool      // the context ended before the call's turn
//	Throttled() bool
//
// # Inside an operation
//
// [AttemptFrom] tells an operation that it is being repeated: to skip a cache, or to
// send an idempotency key again. It returns nil in a first attempt.
//
// [NoRetry] marks a context under which nothing is repeated, for callers that would
// rather have a fast failure.
//
// [Retain] is for what outlives the attempt that made it. A policy with an attempt
// timeout cancels the context of an attempt when the attempt is over; a response body,
// a *sql.Rows or a stream that hangs on that context would die with it.
//
// # Policies of your own
//
// The promises of [Policy.Do] are short: never two calls of the operation at a time,
// none after Do has returned, safe for several goroutines at once. A policy that
// refuses to call the operation returns its error with [Refused], so that no policy
// outside of it repeats what would only be refused again. [WithAttempt], [MayRetry]
// and [Scope] are for policies that repeat or limit operations.
package resilience
