package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
)

// A Guard emits the signals of one policy that admits, rejects, limits or replaces calls:
// of anything but a retry. What is particular to a kind of guard stands in the file of
// that kind. A nil *Guard emits nothing. It is safe for use by several goroutines at once.
type Guard struct {
	emitter
	kind     guardKind
	registry *registry
	cells    *guardCells
}

// newGuard returns the signals of the guard of that name: nil if they are [Off]. levels
// returns its levels in the order of the table, or is nil.
func newGuard(kind guardKind, name string, levels func() []float64, opts []Option) (*Guard, error) {
	s, err := apply(opts)
	if err != nil || s.off {
		return nil, err
	}
	r := registryOf(s.meters())
	cells, own := r.guards[kind].names.get(name)
	if cells.name == name && levels != nil { // and not one of many without cells of their own
		cells.levels.Store(newLevel(levels))
	}
	e := newEmitter(s)
	return &Guard{emitter: e.named(guardTable[kind].nameKey(), name, own), kind: kind, registry: r, cells: cells}, nil
}

// Count counts one call.
func (g *Guard) Count(r Result) {
	if g != nil {
		g.cells.count(r)
	}
}

// A Rejection is why a guard rejected a call.
type Rejection struct {
	Reason string
	// RetryAfter is when the callee may be called again, or 0 if nobody knows.
	RetryAfter time.Duration
}

// Rejected counts a call that the guard rejected, and tells of it.
func (g *Guard) Rejected(ctx context.Context, r Rejection) {
	if g == nil {
		return
	}
	g.Count(ResultRejected)
	lines := g.writes(ctx, slog.LevelDebug)
	if !lines && !g.listens(ctx) {
		return // as for most of the many calls that are rejected in an outage
	}
	attributes := append(make([]attribute.KeyValue, 0, 3), AttrRejectionReason.String(r.Reason))
	message := "%s: Rejected by %s (%s)"
	if r.RetryAfter > 0 {
		attributes = append(attributes, AttrRetryAfter.Float64(r.RetryAfter.Seconds()))
		message += ". Not before " + seconds(r.RetryAfter) + "s"
	}
	g.tell(ctx, EventCallRejected, log.SeverityWarn, attributes...)
	if lines {
		g.line(ctx, slog.LevelDebug, fmt.Sprintf(message, g.name, guardTable[g.kind].what, r.Reason), attributes)
	}
}

// Waited records the wait of a call that the guard let through after it.
func (g *Guard) Waited(ctx context.Context, wait time.Duration) {
	if g == nil {
		return
	}
	g.took(ctx, wait)
	g.tell(ctx, EventCallWaited, log.SeverityInfo, AttrWait.Float64(wait.Seconds()))
}

// took records a duration of the kind's histogram.
func (g *Guard) took(ctx context.Context, d time.Duration) {
	if h := g.registry.guards[g.kind].times; h != nil {
		h.Record(ctx, d.Seconds(), g.cells.times...)
	}
}

// Warn tells of a composition of policies that is known to be wrong.
func (g *Guard) Warn(ctx context.Context, reason, detail string) {
	if g != nil {
		g.warn(ctx, g.registry, reason, detail)
	}
}

// Warn tells of a composition of policies that is known to be wrong.
func (r *Retry) Warn(ctx context.Context, reason, detail string) {
	if r != nil {
		r.warn(ctx, r.registry, reason, detail)
	}
}

func (e *emitter) warn(ctx context.Context, r *registry, reason, detail string) {
	cells, _ := r.guards[kindComposition].names.get(e.name)
	cells.event(reason)
	attributes := []attribute.KeyValue{AttrCompositionReason.String(reason), AttrCompositionDetail.String(detail)}
	e.emit(ctx, e.recording(ctx), EventCompositionWarning, log.SeverityWarn, e.policy, attributes[0], attributes[1])
	if e.writes(ctx, slog.LevelWarn) {
		e.write(ctx, slog.LevelWarn, fmt.Sprintf("%s: The composition of policies is wrong (%s): %s", e.name, reason, detail),
			forLine(attributes)...)
	}
}

// kindName returns the kind as it stands in attributes.
func (g *Guard) kindName() string { return guardTable[g.kind].name }

// listens reports whether an event of a call under ctx would reach anybody.
func (g *Guard) listens(ctx context.Context) bool { return g.logs() || g.recording(ctx) != nil }

// tell sends an event of the guard to the span under ctx and to the log.
func (g *Guard) tell(ctx context.Context, name string, severity log.Severity, attributes ...attribute.KeyValue) {
	if !g.listens(ctx) {
		return
	}
	g.emit(ctx, g.recording(ctx), name, severity,
		append([]attribute.KeyValue{g.policy, AttrPolicyKind.String(g.kindName())}, attributes...)...)
}

// write writes a line that also says what kind of guard it is of: the guards of one callee
// often have one name.
func (g *Guard) write(ctx context.Context, level slog.Level, message string, attributes ...slog.Attr) {
	g.emitter.write(ctx, level, message, append(attributes, slog.String(string(AttrPolicyKind), g.kindName()))...)
}

// line writes a line with the attributes of an event.
func (g *Guard) line(ctx context.Context, level slog.Level, message string, attributes []attribute.KeyValue) {
	g.write(ctx, level, message, forLine(attributes)...)
}

// forLine returns the attributes of an event for a line.
func forLine(attributes []attribute.KeyValue) []slog.Attr {
	converted := make([]slog.Attr, len(attributes), len(attributes)+2) // room for the policy
	for i, kv := range attributes {
		converted[i] = slog.Any(string(kv.Key), kv.Value.AsInterface())
	}
	return converted
}
