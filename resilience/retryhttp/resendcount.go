package retryhttp

import (
	"net/http"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// ResendCount returns a RoundTripper that sends requests by base and sets, where the request
// is a repetition, the attribute http.request.resend_count of OpenTelemetry's conventions on the
// span of its context. It belongs right inside of what makes a span for each attempt:
//
//	retryhttp.WithBase(otelhttp.NewTransport(retryhttp.ResendCount(http.DefaultTransport)))
//
// A nil base is [http.DefaultTransport].
func ResendCount(base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return &resendCount{base}
}

type resendCount struct{ base http.RoundTripper }

func (t *resendCount) RoundTrip(r *http.Request) (*http.Response, error) {
	if a := resilience.AttemptFrom(r.Context()); a != nil && !a.Remote {
		telemetry.SetResendCount(r.Context(), a.Number-1)
	}
	return t.base.RoundTrip(r)
}

// CloseIdleConnections is for [http.Client.CloseIdleConnections].
func (t *resendCount) CloseIdleConnections() {
	if closer, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}
