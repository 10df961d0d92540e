package ctxerr_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/internal/ctxerr"
)

// hostileError panics when it is asked.
type hostileError struct{}

func (hostileError) Error() string { return "hostile" }
func (hostileError) Is(error) bool { panic("asked") }
func (hostileError) Unwrap() error { return nil }

func TestEnded(t *testing.T) {
	t.Parallel()
	errWhy := errors.New("why")
	for name, tt := range map[string]struct {
		cause error
		want  string
	}{
		"no cause":            {nil, "p: the context ended at once: context canceled"},
		"cause":               {errWhy, "p: the context ended at once: why: context canceled"},
		"cause that wraps it": {fmt.Errorf("why: %w", context.Canceled), "p: the context ended at once: why: context canceled: context canceled"},
		"hostile cause":       {hostileError{}, "p: the context ended at once: hostile: context canceled"},
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(tt.cause)
		err := ctxerr.Ended(ctx, "p", "at once")
		require.EqualError(t, err, tt.want, name)
		if tt.cause == (hostileError{}) {
			continue
		}
		require.ErrorIs(t, err, context.Canceled, name)
		assert.ErrorIs(t, err, context.Cause(ctx), name)
	}
}
