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

// FallbackFailed counts a call whose alternative failed too, and tells of both failures: err
// says them, and errorType is that of the alternative's.
func (g *Guard) FallbackFailed(ctx context.Context, err error, errorType string) {
	g.fellBack(ctx, ResultFailed, EventFallbackFailed, log.SeverityError, err, errorType)
}

func (g *Guard) fellBack(ctx context.Context, r Result, event string, severity log.Severity, err error, errorType string) {
	if g == nil {
		return
	}
	g.Count(r)
	level, what := slog.LevelWarn, "Fell back after"
	if r == ResultFailed {
		level, what = slog.LevelError, "Fell back in vain:"
	}
	lines := g.writes(ctx, level)
	if !lines && !g.listens(ctx) {
		return
	}
	text := g.show(err, errorType)
	attributes := []attribute.KeyValue{AttrErrorType.String(errorType), AttrErrorMessage.String(text)}
	g.tell(ctx, event, severity, attributes...)
	if lines {
		g.line(ctx, level, fmt.Sprintf("%s: %s %s", g.name, what, text), attributes)
	}
}
