// Package ctxerr makes the errors of calls whose context has ended.
package ctxerr

import (
	"context"
	"fmt"
)

// Ended returns the error of a call whose context has ended: it says who noticed that and
// when. errors.Is and errors.As find both the context's error and its cause in it. ctx must
// be done.
func Ended(ctx context.Context, who, when string) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == err { //nolint:errorlint // a cause that wraps it may wrap itself too, and errors.Is would not come back
		return fmt.Errorf("%s: the context ended %s: %w", who, when, err)
	}
	return fmt.Errorf("%s: the context ended %s: %w: %w", who, when, cause, err)
}

// NotSent is [Ended] for a call that did not reach the callee. It is no refusal: whether
// there is time for another attempt is for the caller to judge.
func NotSent(ctx context.Context, who, when string) error { return notSentError{Ended(ctx, who, when)} }

type notSentError struct{ error }

func (e notSentError) Unwrap() error { return e.error }

// NotSent is for resilience.CalleeError.
func (notSentError) NotSent() bool { return true }
