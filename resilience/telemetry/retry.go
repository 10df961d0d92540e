package telemetry

import (
	"context"
	"fmt"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
)

// Retry emits the signals of one retry policy. A nil *Retry emits nothing. It is safe
// for use by several goroutines at once.
type Retry struct {
	emitter
	registry *registry
	cells    *retryCells
	tracer   trace.Tracer // nil without WithSpans
	events   eventCache
}

// NewRetry returns the signals of the policy of that name: nil if they are [Off].
// Providers are resolved now: the global ones may be set later, but only once.
func NewRetry(name string, opts ...Option) (*Retry, error) {
	s, err := apply(opts)
	if err != nil || s.off {
		return nil, err
	}
	r := &Retry{emitter: newEmitter(s), registry: registryOf(s.meters())}
	if s.spans {
		r.tracer = s.tracers().Tracer(ScopeName, trace.WithInstrumentationVersion(Version))
	}
	return r.Named(name), nil
}

// Named returns the same signals under another name.
func (r *Retry) Named(name string) *Retry {
	if r == nil {
		return nil
	}
	name = CleanName(name) // unlike in New nobody has validated it
	cells, own := r.registry.retries.get(name)
	return &Retry{emitter: r.named(AttrPolicyName, name, own), registry: r.registry, cells: cells, tracer: r.tracer}
}

// Watches reports whether somebody wants to see more of a call under ctx than that it
// succeeded at once. If not, [Retry.SucceededAtOnce] is all that such a call owes.
func (r *Retry) Watches(ctx context.Context) bool {
	if r == nil {
		return false
	}
	return r.records(ctx) || r.cells.times() || r.tracer != nil ||
		r.settings.events == EventsAll && (r.logger != nil || trace.SpanFromContext(ctx).IsRecording())
}

// Times reports whether the duration of a call under ctx is recorded: in metrics, or on the
// debug page, as there was trouble lately.
func (r *Retry) Times(ctx context.Context) bool {
	return r != nil && (r.records(ctx) || r.cells.times())
}

// records reports whether the duration of a call under ctx is recorded in metrics. It is
// small enough to be inlined, on the untroubled path.
func (r *Retry) records(ctx context.Context) bool {
	return r.settings.duration != DurationsNever && r.registry.duration.Enabled(ctx)
}

// SucceededAtOnce counts a call whose first attempt succeeded.
func (r *Retry) SucceededAtOnce() {
	if r != nil {
		r.cells.succeededAtOnce()
	}
}

// Begin starts to watch a call of at most maxAttempts. The call goes on under the
// context that it returns. A call that was not watched from its start may begin
// after its first attempt.
func (r *Retry) Begin(ctx context.Context, maxAttempts int) (context.Context, RetryCall) {
	if r == nil {
		return ctx, RetryCall{}
	}
	var own trace.Span
	if r.tracer != nil {
		ctx, own = r.tracer.Start(ctx, r.name, trace.WithAttributes(r.policy))
	}
	c := r.watch(ctx)
	c.span, c.max = own, maxAttempts
	return ctx, c
}

// watch returns a call that emits its events under ctx.
func (r *Retry) watch(ctx context.Context) RetryCall {
	return RetryCall{retry: r, ctx: ctx, recording: r.recording(ctx)}
}

// PollStopped tells of a polling that ended before what it waits for was done. Its
// calls were told of one by one, so it is an event and a line, and no count.
func (r *Retry) PollStopped(ctx context.Context, e *RetryEnd) {
	if r == nil {
		return
	}
	c := r.watch(ctx)
	c.emitStopped(e, nil)
	if r.writes(ctx, slog.LevelWarn) {
		r.write(ctx, slog.LevelWarn, fmt.Sprintf("%s: Not done after %d calls (%s)", r.name, e.Attempts, e.Reason), c.attributes(e, nil)...)
	}
}
