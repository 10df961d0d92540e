package retryhttp

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/observable-go/toolkit/internal/layers"
	"github.com/observable-go/toolkit/resilience"
)

// A HandlerOption changes a setting of a new handler.
type HandlerOption func(*handler) error

// NewHandler returns a handler that serves requests by next, and keeps the retries of this
// service and of those above it from multiplying:
//
//   - A request that says that it is a repetition, by Previous-Attempts, by the headers of gRPC,
//     AWS or Envoy, or by the OpenTelemetry baggage, is served without retries: the policies that
//     are called with its context leave them to the layer above. What a request says can
//     lower the number of retries and nothing else.
//   - An answer of status 408, 425, 429, or from 500 on, says X-Should-Retry: false if a policy
//     that was called with the context of the request gave up. Package retryhttp and the clients
//     of OpenAI and Anthropic do not repeat such a request.
//
// The baggage is read from the context: a handler that extracts it, such as that of otelhttp,
// stands outside of this one. The handler is safe for use by several goroutines at once, if next
// is. An [http.ResponseWriter] that next gets is an [http.Flusher], [http.Hijacker],
// [http.Pusher] or [io.ReaderFrom] if that of the server is one.
func NewHandler(next http.Handler, opts ...HandlerOption) (http.Handler, error) {
	if next == nil {
		return nil, errors.New("retryhttp: next: nil is not allowed: want a handler")
	}
	h := &handler{next: next}
	for _, opt := range opts {
		if opt == nil {
			continue
		}
		if err := opt(h); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// MustNewHandler is [NewHandler] where its options are fixed: it panics where NewHandler returns an
// error.
func MustNewHandler(next http.Handler, opts ...HandlerOption) http.Handler {
	h, err := NewHandler(next, opts...)
	if err != nil {
		panic(err)
	}
	return h
}

// WithGuard serves each request under p, which may refuse it or end its context: a bulkhead, a
// rate limit, a throttle, a breaker, a timeout. The answer to a request that was refused is 503,
// with Retry-After, in whole seconds and rounded up, if the refusal says when to come back. So
// is that to one whose context ended before next answered anything.
//
// To p an answer of status 500 or more is a failure. A policy that repeats, or a [resilience.Chain]
// or stack that holds one, is not allowed: an answer that has begun cannot be taken back.
func WithGuard(p resilience.Policy) HandlerOption {
	return func(h *handler) error {
		if p == nil {
			return errors.New("retryhttp: guard: nil is not allowed: want a policy")
		}
		if repeats(p) {
			return fmt.Errorf("retryhttp: guard: %s is not allowed: want one that calls an operation once", named(p))
		}
		h.guard = p
		return nil
	}
}

// WithOwnRetries lets policies retry also while a request is served that a layer above repeats.
// Fewer requests fail by chance then, and an outage is answered by the product of the attempts
// of all layers.
func WithOwnRetries() HandlerOption {
	return func(h *handler) error {
		h.ownRetries = true
		return nil
	}
}

// WithoutShouldRetry keeps it from the caller that a policy gave up.
func WithoutShouldRetry() HandlerOption {
	return func(h *handler) error {
		h.withoutShouldRetry = true
		return nil
	}
}

type handler struct {
	next               http.Handler
	guard              resilience.Policy
	ownRetries         bool
	withoutShouldRetry bool
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx := layers.Serve(r.Context(), layers.Claimed(r.Context(), valuesOf(r.Header)), h.ownRetries)
	answer := &answerWriter{ResponseWriter: w}
	if !h.withoutShouldRetry {
		ctx, answer.gaveUp = resilience.WatchGaveUp(ctx)
	}
	w = answer.as(w)
	if h.guard == nil {
		h.serve(ctx, w, r)
		return
	}
	served := false
	err := h.guard.Do(ctx, func(ctx context.Context) error {
		if served {
			return errServedTwice
		}
		served = true
		h.serve(ctx, w, r)
		return answer.failure(ctx)
	})
	if !served || err != nil && answer.status == 0 {
		refuse(w, err)
	}
}

// serve calls next with a request whose context is ctx. What next finds out about the request is for
// those outside too: package net/http removes the files of a form, and traces are named by the pattern.
func (h *handler) serve(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	inner := r.WithContext(ctx)
	defer func() { r.Pattern, r.MultipartForm = inner.Pattern, inner.MultipartForm }()
	h.next.ServeHTTP(w, inner)
}

var errServedTwice = resilience.Permanent(errors.New("retryhttp: a guard must not call an operation twice"))

func valuesOf(h http.Header) func(name string) []string {
	return func(name string) []string { return h[name] }
}

// refuse answers a request that the guard did not let pass, or ended.
func refuse(w http.ResponseWriter, err error) {
	if after, ok := resilience.Pushback(err); ok {
		seconds := math.Ceil(after.Seconds())
		w.Header().Set("Retry-After", strconv.FormatInt(int64(min(seconds, float64(math.MaxInt64/time.Second))), 10))
	}
	http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
}

// repeats reports whether p may call an operation twice, as far as it or a policy that it is
// composed of says so.
func repeats(p resilience.Policy) bool {
	for _, problem := range resilience.Check(caller{}, p) {
		if problem.Reason == resilience.NestedRetries {
			return true
		}
	}
	return false
}

// named returns how a message calls p.
func named(p resilience.Policy) string {
	if part, ok := p.(resilience.Part); ok {
		d := part.Describe()
		return fmt.Sprintf("the %s %q", d.Kind, d.Name)
	}
	return "a policy that repeats"
}

// A caller of a service, to whose composition that belongs: it may repeat what the service
// does.
type caller struct{ resilience.Part }

func (caller) Describe() resilience.Description {
	return resilience.Description{Kind: "caller", Name: "caller", Repeats: true}
}
