// Package ctxerr makes the errors of calls whose context has ended.
package ctxerr

import (
	"context"
	"errors"
	"fmt"
)

// Ended returns an error that says who noticed the end of ctx and when, and in which
// errors.Is and errors.As find both the context's error and its cause. ctx must be done.
func Ended(ctx context.Context, who, when string) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if is(cause, err) {
		return fmt.Errorf("%s: the context ended %s: %w", who, when, cause)
	}
	return fmt.Errorf("%s: the context ended %s: %w: %w", who, when, cause, err)
}

// is does what errors.Is does, for a cause from anywhere: one whose methods panic is none.
func is(cause, err error) (is bool) {
	defer func() { _ = recover() }()
	return errors.Is(cause, err)
}
