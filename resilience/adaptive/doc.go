// Package adaptive holds what learns from the answers of a callee: how fast to send, what
// not to send at all, and how long to wait before a retry. None of it needs to be told what
// the callee can bear.
//
// A [RateLimiter] is for a callee that throttles, as the APIs of cloud providers do. It is
// the client-side rate limiter of the AWS SDKs' retry mode "adaptive": it finds out at
// which rate the callee accepts calls, and makes calls wait for their turn.
//
//	limiter := adaptive.MustNewRateLimiter("inventory")
//	client := resilience.Chain(retries, limiter) // inside of the retry: each attempt counts
//
// A [Throttle] is for a callee that is overloaded and fails. It is the adaptive throttling
// of Google's "Site Reliability Engineering": it rejects calls at once, at random, so that
// about twice as many are sent as the callee accepts.
//
//	throttle := adaptive.MustNewThrottle("inventory")
//	client := resilience.Chain(retries, throttle)
//
// [Delays] are for the waits of a retry: shorter than usual if a failure is an exception,
// and longer if much fails.
//
//	delays := adaptive.MustNewDelays("inventory", backoff.Exponential{Initial: time.Second, Max: time.Minute})
//	retries := retry.MustNew("inventory.get", retry.WithBackoff(delays))
//
// All three are shared: make one for each callee, and give it to everything that sends
// there.
package adaptive
