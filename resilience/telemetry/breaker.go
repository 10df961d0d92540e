package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
)

// A BreakerLevel is the state of a breaker and what its window holds. The ratios are 0
// while that is empty, as it is while the breaker is open.
type BreakerLevel struct {
	State                   string
	FailureRatio, SlowRatio float64
}

// NewBreaker returns the signals of a circuit breaker. The level is read whenever metrics
// are collected; among breakers of one name that of the newest is.
func NewBreaker(name string, level func() BreakerLevel, opts ...Option) (*Guard, error) {
	return newGuard(kindBreaker, name, func() []float64 {
		l := level()
		levels := make([]float64, 0, len(breakerStates)+2)
		for _, state := range breakerStates {
			in := 0.0
			if state == l.State {
				in = 1
			}
			levels = append(levels, in)
		}
		return append(levels, l.FailureRatio, l.SlowRatio)
	}, opts)
}

// A BreakerChange is a change of a breaker's state.
type BreakerChange struct {
	From, To, Reason      string
	Calls, Failures, Slow int64         // of the window before the change
	OpenFor               time.Duration // if it opened
}

// StateChanged counts a change of the breaker's state and tells of it.
func (g *Guard) StateChanged(ctx context.Context, c BreakerChange) {
	if g == nil {
		return
	}
	g.cells.event(c.To)
	attributes := []attribute.KeyValue{
		AttrBreakerPrevious.String(c.From),
		AttrBreakerState.String(c.To),
		AttrBreakerReason.String(c.Reason),
		AttrBreakerCalls.Int64(c.Calls),
		AttrBreakerFailures.Int64(c.Failures),
		AttrBreakerSlow.Int64(c.Slow),
	}
	severity, level := log.SeverityInfo, slog.LevelInfo
	if c.OpenFor > 0 {
		severity, level = log.SeverityWarn, slog.LevelWarn
		attributes = append(attributes, AttrBreakerOpenFor.Float64(c.OpenFor.Seconds()))
	}
	g.tell(ctx, EventBreakerStateChanged, severity, attributes...)
	if g.writes(ctx, level) {
		g.line(ctx, level, fmt.Sprintf("%s: The breaker went from %s to %s (%s): %d of %d calls failed, %d were slow",
			g.name, c.From, c.To, c.Reason, c.Failures, c.Calls, c.Slow), attributes)
	}
}
