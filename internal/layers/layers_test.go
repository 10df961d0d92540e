package layers_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/baggage"

	"github.com/observable-go/toolkit/internal/layers"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

func TestClaimed(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		header http.Header
		want   int
	}{
		"nothing":             {http.Header{}, 0},
		"ours":                {http.Header{"Previous-Attempts": {"2"}}, 2},
		"spaces":              {http.Header{"Previous-Attempts": {" 2 "}}, 2},
		"zero":                {http.Header{"Previous-Attempts": {"0"}}, 0},
		"negative":            {http.Header{"Previous-Attempts": {"-1"}}, 0},
		"plus":                {http.Header{"Previous-Attempts": {"+1"}}, 0},
		"not a number":        {http.Header{"Previous-Attempts": {"many"}}, 0},
		"fraction":            {http.Header{"Previous-Attempts": {"1.5"}}, 0},
		"large":               {http.Header{"Previous-Attempts": {"60000"}}, 99},
		"too large":           {http.Header{"Previous-Attempts": {"99999999999999999999999999"}}, 0},
		"several":             {http.Header{"Previous-Attempts": {"1", "3", "x"}}, 3},
		"gRPC":                {http.Header{"Grpc-Previous-Rpc-Attempts": {"1"}}, 1},
		"Envoy, first":        {http.Header{"X-Envoy-Attempt-Count": {"1"}}, 0},
		"Envoy, second":       {http.Header{"X-Envoy-Attempt-Count": {"2"}}, 1},
		"Envoy, none":         {http.Header{"X-Envoy-Attempt-Count": {"0"}}, 0},
		"AWS, first":          {http.Header{"Amz-Sdk-Request": {"attempt=1; max=3"}}, 0},
		"AWS, second":         {http.Header{"Amz-Sdk-Request": {"attempt=2; max=3"}}, 1},
		"AWS, other order":    {http.Header{"Amz-Sdk-Request": {"ttl=20261124T140000Z; max=3;attempt=3"}}, 2},
		"AWS, nothing in it":  {http.Header{"Amz-Sdk-Request": {"max=3"}}, 0},
		"AWS, out of place":   {http.Header{"Amz-Sdk-Request": {"attempt"}}, 0},
		"the largest of them": {http.Header{"X-Envoy-Attempt-Count": {"2"}, "Previous-Attempts": {"4"}}, 4},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, test.want, layers.Claimed(t.Context(), test.header.Values))
		})
	}
}

func TestClaimedByBaggage(t *testing.T) {
	t.Parallel()
	ctx := telemetry.WithPreviousAttempts(t.Context(), 3)
	assert.Equal(t, 3, layers.Claimed(ctx, http.Header{}.Values))
	assert.Equal(t, 5, layers.Claimed(ctx, http.Header{"Previous-Attempts": {"5"}}.Values))

	hostile, err := baggage.NewMember("resilience.previous_attempts", "-7")
	require.NoError(t, err)
	all, err := baggage.New(hostile)
	require.NoError(t, err)
	assert.Zero(t, layers.Claimed(baggage.ContextWithBaggage(t.Context(), all), http.Header{}.Values))
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{"false": true, "False": true, "\tfalse\t": true, "true": false, "": false, "0": false} {
		assert.Equal(t, want, layers.Refuses(http.Header{"X-Should-Retry": {value}}.Values), "x-should-retry: %q", value)
	}
	for value, want := range map[string]bool{"-1": true, "0": false, "1500": false, "soon": true, "": true, "99999999999999999999": true} {
		assert.Equal(t, want, layers.Refuses(http.Header{"Grpc-Retry-Pushback-Ms": {value}}.Values), "grpc-retry-pushback-ms: %q", value)
	}
	assert.False(t, layers.Refuses(http.Header{}.Values))
}

func TestServe(t *testing.T) {
	t.Parallel()
	first := layers.Serve(t.Context(), 0, false)
	assert.Nil(t, resilience.AttemptFrom(first))
	assert.True(t, resilience.MayRetry(first))
	assert.Zero(t, layers.Previous(first))

	again := layers.Serve(t.Context(), 2, false)
	assert.Equal(t, resilience.Attempt{Number: 3, Remote: true}, *resilience.AttemptFrom(again))
	assert.False(t, resilience.MayRetry(again), "the layer above retries")
	assert.Equal(t, 2, layers.Previous(again), "what it says travels on down")

	multiplied := layers.Serve(t.Context(), 2, true)
	assert.Equal(t, 2, layers.Previous(multiplied))
	assert.True(t, resilience.MayRetry(multiplied))
}

func TestPreviousIsBounded(t *testing.T) {
	t.Parallel()
	for number, want := range map[int]int{-5: 0, 0: 0, 1: 0, 2: 1, 100: 99, 101: 99, 1 << 30: 99} {
		ctx := resilience.WithAttempt(t.Context(), resilience.Attempt{Number: number})
		assert.Equal(t, want, layers.Previous(ctx), "attempt %d", number)
	}
}

// What others send can only lower the number of retries, and stays within bounds.
func FuzzClaimed(f *testing.F) {
	f.Add("2", "attempt=2; max=3", "1")
	f.Add("-1", ";;attempt==", "\x00")
	f.Fuzz(func(t *testing.T, ours, aws, envoy string) {
		claimed := layers.Claimed(context.Background(), http.Header{
			"Previous-Attempts": {ours}, "Amz-Sdk-Request": {aws}, "X-Envoy-Attempt-Count": {envoy},
		}.Values)
		if claimed < 0 || claimed > 99 {
			t.Errorf("%d is out of bounds", claimed)
		}
	})
}
