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

// HedgeDenied counts a copy that the budget denied, and tells of it.
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

// CopyPanicked tells of a copy that panicked after its call had ended.
func (g *Guard) CopyPanicked(ctx context.Context, number int, value any) {
	if g == nil {
		return
	}
	text := Redact(fmt.Sprint(value))
	g.tell(ctx, EventHedgePanicked, log.SeverityError, AttrHedgeCopy.Int(number), AttrErrorMessage.String(text))
	if g.writes(ctx, slog.LevelError) {
		g.write(ctx, slog.LevelError, fmt.Sprintf("%s: Copy %d panicked after the call had ended: %s", g.name, number, text),
			slog.Int(string(AttrHedgeCopy), number))
	}
}
