// Package layers carries what keeps the retries of several services from multiplying: a
// request says that a layer above repeats it, and an answer says that a layer below gave up.
// It is the same for HTTP and for gRPC, whose metadata has the same form.
package layers

import (
	"context"
	"strconv"
	"strings"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

const (
	// PreviousAttempts is the header of a request that says how many attempts of it were
	// made before. A first attempt does not have it.
	PreviousAttempts = "Previous-Attempts"
	// ShouldRetry is the header of an answer that is "false" if the request must not be
	// repeated. The clients of OpenAI and Anthropic know it too.
	ShouldRetry = "X-Should-Retry"
	// NoRetry is its value.
	NoRetry = "false"

	// The dialects of others.

	grpcPrevious = "Grpc-Previous-Rpc-Attempts" // gRPC A6: how many attempts were made before
	grpcPushback = "Grpc-Retry-Pushback-Ms"     // gRPC A6: negative means not to retry
	awsRequest   = "Amz-Sdk-Request"            // "attempt=2; max=3"
	envoyAttempt = "X-Envoy-Attempt-Count"      // 1 for the first attempt
)

// maxPrevious bounds what a request may claim.
const maxPrevious = 99

// Previous returns how many attempts of the request that ctx belongs to were made before
// this one, here or in a layer above: from 0 to 99.
func Previous(ctx context.Context) int {
	a := resilience.AttemptFrom(ctx)
	if a == nil {
		return 0
	}
	return min(max(a.Number-1, 0), maxPrevious)
}

// Claimed returns how many attempts were made before, by the headers of a request and by the
// baggage of ctx: the largest number that one of the dialects has, from 0 to 99. values
// returns the values of a header by its name in canonical form. What has no proper form is
// not there.
func Claimed(ctx context.Context, values func(name string) []string) int {
	claimed := previousIn(telemetry.PreviousAttempts(ctx))
	for _, value := range values(PreviousAttempts) {
		claimed = max(claimed, previousIn(value))
	}
	for _, value := range values(grpcPrevious) {
		claimed = max(claimed, previousIn(value))
	}
	for _, value := range values(envoyAttempt) {
		claimed = max(claimed, previousIn(value)-1)
	}
	for _, value := range values(awsRequest) {
		claimed = max(claimed, previousInAWS(value)-1)
	}
	return claimed
}

// Serve returns the context for serving a request that was sent previous times before. If
// previous is not 0 operations see a remote attempt, and unless multiply is set policies
// leave the retries to the layer above.
func Serve(ctx context.Context, previous int, multiply bool) context.Context {
	if previous <= 0 {
		return ctx
	}
	ctx = resilience.WithAttempt(ctx, resilience.Attempt{Number: previous + 1, Remote: true})
	if !multiply {
		ctx = resilience.NoRetry(ctx)
	}
	return ctx
}

// Refuses reports whether an answer says not to repeat the request, by its headers or, in
// gRPC, its trailers.
func Refuses(values func(name string) []string) bool {
	for _, value := range values(ShouldRetry) {
		if strings.EqualFold(strings.TrimSpace(value), NoRetry) {
			return true
		}
	}
	for _, value := range values(grpcPushback) {
		if ms, err := strconv.Atoi(strings.TrimSpace(value)); err != nil || ms < 0 {
			return true // also what has no proper form: that is gRPC's rule
		}
	}
	return false
}

// previousIn parses a number of attempts. It returns 0 for what is none.
func previousIn(s string) int {
	s = strings.TrimSpace(s)
	if s == "" || len(s) > len("65535") {
		return 0
	}
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0
	}
	return min(int(n), maxPrevious)
}

// previousInAWS returns the number of the attempt in a header such as "attempt=2; max=3".
func previousInAWS(s string) int {
	for field := range strings.SplitSeq(s, ";") {
		name, value, _ := strings.Cut(field, "=")
		if strings.EqualFold(strings.TrimSpace(name), "attempt") {
			return previousIn(value)
		}
	}
	return 0
}
