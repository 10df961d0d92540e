package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// shortPlan is the standard plan in a hurry.
var shortPlan = plan{
	lasts:    [...]time.Duration{healthy: 500 * time.Millisecond, outage: 800 * time.Millisecond, recovered: 300 * time.Millisecond},
	interval: 5 * time.Millisecond,
	workers:  64,
	refresh:  50 * time.Millisecond,
	line:     200 * time.Millisecond,
	flush:    500 * time.Millisecond,
}

// runShort returns what a short run writes. The run must succeed, which means that its
// numbers agree, and leave no goroutine behind.
func runShort(t *testing.T, ctx context.Context, terminal bool) string {
	t.Helper()
	before := runtime.NumGoroutine()
	var out strings.Builder
	require.NoError(t, run(ctx, screen{&out, terminal}, shortPlan), "%s", &out)
	assert.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+1 }, // its own is one
		10*time.Second, 10*time.Millisecond, "goroutines are left")
	t.Log("\n" + out.String())
	for line := range strings.Lines(out.String()) {
		for frame := range strings.SplitSeq(line, "\r") {
			assert.LessOrEqual(t, len([]rune(frame)), 100, frame)
		}
	}
	return out.String()
}

func TestRun(t *testing.T) {
	t.Setenv(endpointVariable, "")
	out := runShort(t, t.Context(), false)
	for _, part := range []string{
		"retry rate", "success after retry", "exhausted retries", "average retry count", "total retry latency",
		"healthy", "outage", "recovered", "attempt 1/4", "resilience.retry.scheduled", "equal       equal",
	} {
		assert.Contains(t, out, part)
	}
	assert.NotContains(t, out, "\r")
	assert.NotContains(t, out, "export to")
}

func TestRunOnTerminal(t *testing.T) {
	t.Setenv(endpointVariable, "")
	assert.Contains(t, runShort(t, t.Context(), true), "\r")
}

// An interrupted run ends in order with a report whose numbers agree.
func TestRunInterrupted(t *testing.T) {
	t.Setenv(endpointVariable, "")
	for _, after := range []time.Duration{0, 100 * time.Millisecond, 700 * time.Millisecond} {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(after, cancel)
		out := runShort(t, ctx, false)
		assert.Contains(t, out, "Interrupted after")
		assert.Contains(t, out, "retry rate")
	}
}

func TestRunExports(t *testing.T) {
	var traces, metrics atomic.Int64
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1/traces":
			traces.Add(1)
		case "/v1/metrics":
			metrics.Add(1)
		}
	}))
	defer collector.Close()
	t.Setenv(endpointVariable, collector.URL)
	var out strings.Builder
	require.NoError(t, run(t.Context(), screen{&out, false}, shortPlan), "%s", &out)
	assert.Contains(t, out.String(), "exported to "+collector.URL)
	assert.Positive(t, traces.Load())
	assert.Positive(t, metrics.Load())
}

// A collector that is not there, or that never answers, does not keep the run from
// ending.
func TestRunExportsInVain(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	released := make(chan struct{})
	deaf := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-released }))
	defer deaf.Close()
	defer close(released)

	for _, url := range []string{closed.URL, deaf.URL} {
		t.Setenv(endpointVariable, url)
		var out strings.Builder
		require.NoError(t, run(t.Context(), screen{&out, false}, shortPlan), "%s", &out)
		assert.Contains(t, out.String(), "The export to "+url+" failed:")
	}
}

// A request too many, or a call, is found.
func TestRunDisagreement(t *testing.T) {
	t.Setenv(endpointVariable, "")
	for name, tamper := range map[string]func(*side){
		"request": func(s *side) { s.dependency.requests[outage].Add(1) },
		"call":    func(s *side) { s.traffic.calls.Add(1) },
	} {
		t.Run(name, func(t *testing.T) {
			sdk, err := startSignals(t.Context())
			require.NoError(t, err)
			now := timeline{shortPlan, time.Now()}
			sides, err := startSides(now)
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			drive(ctx, now, sides)
			metrics, err := sdk.metrics()
			require.NoError(t, err)
			for _, s := range sides { // all requests are there, so that none makes up for what comes now
				require.True(t, checkOf(s, countsOf(metrics, s.policy)).ok())
			}
			tamper(sides[1])
			var out strings.Builder
			assert.ErrorIs(t, report(screen{&out, false}, time.Now(), sdk, sides), errDisagree)
			assert.Contains(t, out.String(), "DIFFERENT")
			for _, s := range sides {
				assert.NoError(t, s.close())
			}
			assert.NoError(t, sdk.shutdown(time.Second))
		})
	}
}
