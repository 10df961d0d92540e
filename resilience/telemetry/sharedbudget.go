package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
)

// A SharedBudgetLevel is where a budget that replicas share decides, and what the budget of
// all of them holds, in tokens, as far as is known: NaN is unknown.
type SharedBudgetLevel struct {
	Mode             string
	Tokens, Capacity float64
}

// NewSharedBudget returns the signals of a budget that replicas share, beside those that
// [NewBudget] returns. The level is read whenever metrics are collected; among budgets of one
// name that of the newest is. One without a mode has ended, and has no levels any more.
func NewSharedBudget(name string, level func() SharedBudgetLevel, opts ...Option) (*Guard, error) {
	return newGuard(kindSharedBudget, name, func() []float64 {
		l := level()
		levels := make([]float64, 0, len(sharedBudgetModes)+2)
		for _, mode := range sharedBudgetModes {
			switch l.Mode {
			case "":
				levels = append(levels, math.NaN())
			case mode:
				levels = append(levels, 1)
			default:
				levels = append(levels, 0)
			}
		}
		return append(levels, l.Tokens, l.Capacity)
	}, opts)
}

// Exchanged counts an exchange with the store of a shared budget that succeeded.
func (g *Guard) Exchanged(latency time.Duration) {
	if g == nil {
		return
	}
	g.Count(ResultSuccess)
	g.took(context.Background(), latency)
	if g.cells.trouble.Load() != nil {
		g.cells.trouble.Store(nil)
	}
}

// ExchangeFailed counts an exchange with the store of a shared budget that failed, or timed out, and
// writes a line. The debug page shows the error until an exchange succeeds.
func (g *Guard) ExchangeFailed(r Result, err error, errorType string) {
	if g == nil {
		return
	}
	g.Count(r)
	text := g.show(err, errorType)
	g.cells.trouble.Store(&text)
	if ctx := context.Background(); g.writes(ctx, slog.LevelDebug) {
		g.line(ctx, slog.LevelDebug, fmt.Sprintf("%s: An exchange of the shared budget failed: %s", g.name, text),
			[]attribute.KeyValue{AttrErrorType.String(errorType), AttrErrorMessage.String(text)})
	}
}

// A SharedBudgetChange is a change of where a shared budget decides. Err is why it was left to
// this process, if it was.
type SharedBudgetChange struct {
	From, To  string
	Err       error
	ErrorType string
}

// ModeChanged counts a change of where a shared budget decides and tells of it. One that began
// without its store, and is in the same mode as before, is told of and not counted.
func (g *Guard) ModeChanged(c SharedBudgetChange) {
	if g == nil {
		return
	}
	if c.From != c.To {
		g.cells.event(c.To)
	}
	ctx := context.Background() // it is the change of no call
	attributes := []attribute.KeyValue{AttrSharedBudgetFrom.String(c.From), AttrSharedBudgetMode.String(c.To)}
	severity, level := log.SeverityInfo, slog.LevelInfo
	message := fmt.Sprintf("%s: The shared budget went from %s to %s", g.name, c.From, c.To)
	if c.From == c.To {
		message = fmt.Sprintf("%s: The shared budget begins as %s", g.name, c.To)
	}
	if c.Err != nil {
		severity, level = log.SeverityWarn, slog.LevelWarn
		text := g.show(c.Err, c.ErrorType)
		attributes = append(attributes, AttrErrorType.String(c.ErrorType), AttrErrorMessage.String(text))
		message += ": " + text
	}
	g.tell(ctx, EventSharedBudgetMode, severity, attributes...)
	if g.writes(ctx, level) {
		g.line(ctx, level, message, attributes)
	}
}
