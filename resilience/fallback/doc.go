// Package fallback gives an answer that is good enough where the right one failed: a value
// of a cache, a default, the answer of another callee.
//
//	var rates = fallback.MustNew("rates")
//
//	rate, err := fallback.DoValue(ctx, rates, fetchRate, func(ctx context.Context, err error) (Rate, error) {
//		return cache.LastRate(ctx)
//	})
//
// It is the outermost stage: retries, breakers and timeouts that stand inside of it decide
// first that the operation has failed. What it replaces is not hidden: each use is counted
// and told with the failure behind it.
//
// A fallback is code that runs when everything else goes wrong, and hardly ever before. Keep
// it simple, test it, and let it need nothing that may have failed for the same reason. An
// error is often the better answer: see docs/fallback.md.
package fallback
