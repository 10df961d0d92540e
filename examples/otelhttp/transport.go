package main

import (
	"net/http"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/retryhttp"
)

// A form is a place for otelhttp.
type form struct {
	name      string
	transport func(base http.RoundTripper, opts ...otelhttp.Option) (http.RoundTripper, error)
}

var forms = []form{
	{"inside, a span for each attempt", inside},
	{"outside, a span for the call", outside},
	{"inside and outside", both},
}

func newPolicy() (*retry.Policy, error) {
	return retry.New("server", retry.WithMaxRetries(2), retry.WithBackoff(backoff.Constant{})) // keep your delays
}

// inside makes a span for each attempt, and tells the service below by the baggage which
// attempt it is. Of a span ResendCount says how many went before.
func inside(base http.RoundTripper, opts ...otelhttp.Option) (http.RoundTripper, error) {
	policy, err := newPolicy()
	if err != nil {
		return nil, err
	}
	attempt := otelhttp.NewTransport(retryhttp.ResendCount(base), opts...)
	return retryhttp.New(policy, retryhttp.WithBase(attempt))
}

// outside makes one span of the call, on which the attempts are events.
func outside(base http.RoundTripper, opts ...otelhttp.Option) (http.RoundTripper, error) {
	policy, err := newPolicy()
	if err != nil {
		return nil, err
	}
	call, err := retryhttp.New(policy, retryhttp.WithBase(base))
	if err != nil {
		return nil, err
	}
	return otelhttp.NewTransport(call, opts...), nil
}

// both makes a span of the call, and in it one for each attempt. Its metrics count a request
// of one attempt twice: give the outer one a MeterProvider of its own, or none.
func both(base http.RoundTripper, opts ...otelhttp.Option) (http.RoundTripper, error) {
	call, err := inside(base, opts...)
	if err != nil {
		return nil, err
	}
	return otelhttp.NewTransport(call, opts...), nil
}
