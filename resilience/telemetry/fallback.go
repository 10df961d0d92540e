package telemetry

import (
	"context"
	"fmt"
	"log/slog"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
)

// NewFallback returns the signals of a fallback.
func NewFallback(name string, opts ...Option) (*Guard, error) {
	return newGuard(kindFallback, name, nil, opts)
}

// FallbackUsed counts a call whose failure the alternative made good, and tells of the
// failure.
func (g *Guard) FallbackUsed(ctx context.Context, err error, errorType string) {
	g.fellBack(ctx, ResultFallback, EventFallbackUsed, log.SeverityWarn, err, errorType)
}

// FallbackFailed counts a call whose alternative failed too, with err, and tells of it.
func (g *Guard) FallbackFailed(ctx context.Context, err error, errorType string) {
	g.fellBack(ctx, ResultFailed, EventFallbackFailed, log.SeverityError, err, errorType)
}

func (g *Guard) fellBack(ctx context.Context, r Result, event string, severity log.Severity, err error, errorType string) {
	if g == nil {
		return
	}
	g.Count(r)
	lines := g.writes(ctx, slog.LevelWarn)
	if !lines && !g.listens(ctx) {
		return
	}
	attributes := []attribute.KeyValue{AttrErrorType.String(errorType), AttrErrorMessage.String(g.show(err, errorType))}
	g.tell(ctx, event, severity, attributes...)
	if lines {
		what := "Fell back after"
		if r == ResultFailed {
			what = "The fallback failed as well:"
		}
		g.line(ctx, slog.LevelWarn, fmt.Sprintf("%s: %s %s", g.name, what, g.show(err, errorType)), attributes)
	}
}
