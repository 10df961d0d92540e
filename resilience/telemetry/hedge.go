package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/log"
)

// NewHedge returns the signals of a hedge. The level is the delay in force.
func NewHedge(name string, level func() time.Duration, opts ...Option) (*Guard, error) {
	return newGuard(kindHedge, name, func() []float64 { return []float64{level().Seconds()} }, opts)
}

// HedgeSent counts a copy beyond the first that is sent after that delay, and tells of it.
func (g *Guard) HedgeSent(ctx context.Context, number int, delay time.Duration) {
	if g == nil {
		return
	}
	g.cells.event(copySent)
	g.tell(ctx, EventHedgeSent, log.SeverityInfo, AttrHedgeCopy.Int(number), AttrHedgeDelay.Float64(delay.Seconds()))
}

// HedgeDenied counts a copy that was due and denied, by the budget or as the share of the
// hedge was used up, and tells of it.
func (g *Guard) HedgeDenied(ctx context.Context) {
	if g == nil {
		return
	}
	g.cells.event(copyDenied)
	g.tell(ctx, EventHedgeDenied, log.SeverityWarn)
}

// HedgeWon counts a call whose result is that of the copy of that number, and tells of it.
func (g *Guard) HedgeWon(ctx context.Context, number int) {
	if g == nil {
		return
	}
	g.Count(ResultHedge)
	g.tell(ctx, EventHedgeWon, log.SeverityInfo, AttrHedgeCopy.Int(number))
}

// CopyPanicked counts a copy that panicked after its call had ended, with that value, and
// tells of it. What disposes of the copy's value counts as a part of it.
func (g *Guard) CopyPanicked(ctx context.Context, number int, value any) {
	if g == nil {
		return
	}
	g.cells.event(copyPanicked)
	lines := g.writes(ctx, slog.LevelError)
	if !lines && !g.listens(ctx) {
		return
	}
	err, ok := value.(error)
	if !ok {
		err = fmt.Errorf("%v", value) // so that what the user shows of errors is all that is shown
	}
	text := g.show(err, panicType)
	g.tell(ctx, EventHedgePanicked, log.SeverityError, AttrHedgeCopy.Int(number), AttrErrorMessage.String(text))
	if lines {
		g.write(ctx, slog.LevelError, fmt.Sprintf("%s: Copy %d panicked after the call had ended: %s", g.name, number, text),
			slog.Int(string(AttrHedgeCopy), number))
	}
}
