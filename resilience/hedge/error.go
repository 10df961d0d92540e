package hedge

import (
	"context"
	"errors"
	"fmt"

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
	end := ctx.Err()
	if cause := context.Cause(ctx); !resilience.MatchIs(end)(cause) {
		end = fmt.Errorf("%w (%w)", cause, end)
	} else {
		end = cause
	}
	if failure == nil {
		return fmt.Errorf("hedge: %q: no copy had succeeded when the context ended: %w", h.name, end)
	}
	return fmt.Errorf("hedge: %q: no copy had succeeded when the context ended: %w; the last failure: %w", h.name, end, failure)
}
