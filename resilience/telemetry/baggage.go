package telemetry

import (
	"context"
	"strconv"

	"go.opentelemetry.io/otel/baggage"
)

// baggageKey is the member of the baggage that says how many attempts a layer above made
// before this one.
const baggageKey = "resilience.previous_attempts"

// WithPreviousAttempts returns a context whose OpenTelemetry baggage says that n attempts
// were made before this one. Baggage crosses services that do not know this toolkit, if
// they propagate it.
func WithPreviousAttempts(ctx context.Context, n int) context.Context {
	member, err := baggage.NewMember(baggageKey, strconv.Itoa(n))
	if err != nil {
		return ctx
	}
	all, err := baggage.FromContext(ctx).SetMember(member)
	if err != nil {
		return ctx // the baggage is full, and what is in it is not ours to throw out
	}
	return baggage.ContextWithBaggage(ctx, all)
}

// PreviousAttempts returns what the OpenTelemetry baggage of ctx says of the attempts that
// were made before this one, as it stands there: anybody may have written it. It is empty if
// the baggage says nothing.
func PreviousAttempts(ctx context.Context) string {
	return baggage.FromContext(ctx).Member(baggageKey).Value()
}
