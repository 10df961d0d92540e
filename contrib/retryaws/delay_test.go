package retryaws_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/retryaws"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

func TestDelays(t *testing.T) {
	t.Parallel()
	second := func(header string, value string) answer {
		return answer{status: http.StatusServiceUnavailable, code: "Busy", header: map[string]string{header: value}}
	}
	for name, test := range map[string]struct {
		script []answer
		config retry.Config
		waits  []time.Duration
	}{
		"exponential": {
			[]answer{internal, internal, internal, ok}, retry.Config{},
			[]time.Duration{time.Second, 2 * time.Second, 4 * time.Second},
		},
		"throttled": {
			[]answer{throttled, internal, throttled, ok}, retry.Config{InitialDelay: 100 * time.Millisecond},
			[]time.Duration{time.Second, 200 * time.Millisecond, 4 * time.Second},
		},
		"retry after in seconds": {
			[]answer{second("Retry-After", "7"), ok}, retry.Config{}, []time.Duration{7 * time.Second},
		},
		"retry after in milliseconds": {
			[]answer{second("X-Amz-Retry-After", "1500"), ok}, retry.Config{}, []time.Duration{1500 * time.Millisecond},
		},
		"more milliseconds than the SDK would wait": {
			[]answer{second("X-Amz-Retry-After", "45000"), ok}, retry.Config{}, []time.Duration{45 * time.Second},
		},
		"milliseconds that are none": {
			[]answer{second("X-Amz-Retry-After", "-1"), second("X-Amz-Retry-After", "0"), ok}, retry.Config{},
			[]time.Duration{time.Second, 2 * time.Second},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				test.config.Jitter = backoff.NoJitter
				r, err := retryaws.New("aws", retryaws.WithConfig(test.config))
				require.NoError(t, err)
				client, server := fake(t, r, test.script...)
				require.NoError(t, get(t.Context(), client))
				assert.Equal(t, test.waits, server.waits())
			})
		})
	}
}

func TestPushbackBeyondTheLimitEndsTheCall(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]map[string]string{
		"seconds":      {"Retry-After": "61"},
		"milliseconds": {"X-Amz-Retry-After": "60001"},
		"overflow":     {"Retry-After": "99999999999999999999999999"},
		"date":         {"Retry-After": time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, server := serve(t, newRetryer(t), answer{http.StatusServiceUnavailable, "Busy", header})
			err := get(t.Context(), client)
			require.ErrorIs(t, err, retry.ErrPushback)
			assert.Equal(t, 1, server.requests())
			assert.Equal(t, resilience.ClassRefused, resilience.Classify(err))
			assert.True(t, resilience.Throttled(err))
		})
	}
	t.Run("none is obeyed", func(t *testing.T) {
		t.Parallel()
		policy := retry.MustNew("rules", retry.WithConfig(noDelay), retry.WithMaxPushback(0), retry.WithTelemetry(telemetry.Off()))
		r := newRetryer(t, retryaws.WithConfig(policy.Config()))
		client, server := serve(t, r, answer{http.StatusServiceUnavailable, "Busy", map[string]string{"Retry-After": "1"}})
		require.ErrorIs(t, get(t.Context(), client), retry.ErrPushback)
		assert.Equal(t, 1, server.requests())
	})
}

func TestDeadlineThatADelayWouldOutlast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, err := retryaws.New("aws", retryaws.WithConfig(retry.Config{Jitter: backoff.NoJitter}))
		require.NoError(t, err)
		client, server := fake(t, r, internal)
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		began := time.Now()
		err = get(ctx, client)
		require.ErrorIs(t, err, retry.ErrDeadline)
		assert.Equal(t, time.Second, time.Since(began), "the second delay is not begun")
		assert.Equal(t, 2, server.requests())

		r, err = retryaws.New("aws", retryaws.WithConfig(retry.Config{Jitter: backoff.NoJitter, MaxElapsed: 2500 * time.Millisecond}))
		require.NoError(t, err)
		client, server = fake(t, r, internal)
		require.ErrorIs(t, get(t.Context(), client), retry.ErrMaxElapsed)
		assert.Equal(t, 2, server.requests())
	})
}
