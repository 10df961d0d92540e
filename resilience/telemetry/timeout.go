package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/log"
)

// NewTimeout returns the signals of a timeout.
func NewTimeout(name string, opts ...Option) (*Guard, error) {
	return newGuard(kindTimeout, name, nil, opts)
}

// TimedOut counts a call that failed after its time had passed, and tells of it.
func (g *Guard) TimedOut(ctx context.Context, limit time.Duration) {
	if g == nil {
		return
	}
	g.Count(ResultTimedOut)
	g.tell(ctx, EventTimeoutExceeded, log.SeverityWarn, AttrTimeoutLimit.Float64(limit.Seconds()))
	if g.writes(ctx, slog.LevelDebug) {
		g.write(ctx, slog.LevelDebug, fmt.Sprintf("%s: Timed out after %ss", g.name, seconds(limit)),
			slog.Float64(string(AttrTimeoutLimit), limit.Seconds()))
	}
}
