package retry

import (
	"context"
	"iter"

	"github.com/observable-go/toolkit/resilience/telemetry"
)

// Attempts makes the body of a for loop the operation. The body reports how the
// attempt went in *err, which is nil when it begins:
//
//	var err error
//	for ctx := range policy.Attempts(ctx, &err) {
//		err = handle(ctx, message)
//	}
//	return err
//
// The loop ends after an attempt that left *err nil, or when there is to be no other
// attempt; *err is then what [Policy.Do] would have returned. A body that leaves the
// loop itself ends the call with the *err that it left, which counts as a success if
// that is nil and as a failure that is not to be retried otherwise.
//
// The iterator may be used again: each loop over it is a call of its own. A nil err
// stands for a body that never fails.
func (p *Policy) Attempts(ctx context.Context, err *error) iter.Seq[context.Context] {
	return func(yield func(context.Context) bool) {
		report := err
		if report == nil {
			report = new(error)
		}
		*report = nil
		if p == nil || ctx == nil {
			if p != nil {
				*report = errNoContext
				return
			}
			yield(ctx)
			return
		}
		var c call
		defer c.close()
		for more := c.begin(ctx, p, p.shared.rules.Load()); more; more = c.next(*report) {
			*report = nil
			if !yield(c.attempt) {
				c.abandon(*report)
				return
			}
		}
		*report = c.err
	}
}

// abandon notes that the caller ended the call during an attempt that, so far, had come
// to err.
func (c *call) abandon(err error) {
	if err == nil {
		c.next(nil)
		return
	}
	c.failed(err)
	c.finish(err, &telemetry.RetryEnd{
		Outcome: telemetry.OutcomeNotRetryable, Reason: "left_loop",
	})
}
