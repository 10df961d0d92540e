package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// SetResendCount sets http.request.resend_count on the span of ctx: how many times its request
// was sent before, by the OpenTelemetry conventions for HTTP spans.
func SetResendCount(ctx context.Context, n int) {
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		span.SetAttributes(attribute.Int("http.request.resend_count", n))
	}
}
