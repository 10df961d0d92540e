package hedge

import (
	"context"
	"errors"
	"fmt"

	"github.com/observable-go/toolkit/internal/ctxerr"
	"github.com/observable-go/toolkit/resilience"
)

// ErrLost is the cause with which the context of a copy ends when its result is not wanted
// any more: see [context.Cause].
var ErrLost = errors.New("hedge: another copy of the operation decided the call")

var (
	errNoOperation = resilience.Permanent(errors.New("hedge: the operation is nil"))
	errNoContext   = resilience.Permanent(errors.New("hedge: the context is nil"))
	errGoexit      = errors.New("hedge: the operation called runtime.Goexit")
)

// contextError returns the error of a call whose context has ended. The failure is that of
// the last copy that ended before, or nil.
func (h *Hedge) contextError(ctx context.Context, failure error) error {
	err := ctxerr.Ended(ctx, h.name, "before a copy had succeeded")
	if failure == nil {
		return err
	}
	return fmt.Errorf("%w; the last failure: %w", err, failure)
}
