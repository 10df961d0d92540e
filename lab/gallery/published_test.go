package gallery_test

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/lab/gallery"
	"github.com/observable-go/toolkit/lab/scenario"
)

// load returns a scenario of the gallery.
func load(t *testing.T, name string) *scenario.Scenario {
	t.Helper()
	text, err := gallery.Text(name)
	require.NoError(t, err)
	s, err := scenario.Parse(text)
	require.NoError(t, err)
	return s
}

// compare runs a scenario and returns what each policy did.
func compare(t *testing.T, s *scenario.Scenario) map[string]*scenario.PolicyReport {
	t.Helper()
	require.NoError(t, s.Validate())
	report, err := s.Compare(context.Background(), nil)
	require.NoError(t, err)
	by := make(map[string]*scenario.PolicyReport)
	for _, p := range report.Policies {
		by[p.Name] = p
	}
	return by
}

// mean returns the mean of a number over the runs, which is what was published.
func mean(p *scenario.PolicyReport, of func(*scenario.Run) float64) (sum float64) {
	for _, r := range p.Runs {
		sum += of(r) / float64(len(p.Runs))
	}
	return sum
}

// The figures of aws-samples/aws-arch-backoff-simulator, of which the article shows the graphs: its algorithm run
// again with 100 runs each; means and standard deviations of the writes, and of the milliseconds until the last
// client is done.
var publishedJitter = []struct {
	clients                              int
	policy                               string
	calls, callsSpread, time, timeSpread float64
}{
	{10, "no delays", 50.4, 4.6, 376.7, 37.3},
	{10, "exponential", 51.1, 4.1, 3515.0, 1339.5},
	{10, "equal jitter", 42.5, 2.8, 740.2, 188.9},
	{10, "full jitter", 39.0, 2.2, 465.4, 100.8},
	{10, "decorrelated jitter", 38.1, 2.6, 449.1, 94.7},
	{50, "no delays", 692.2, 18.5, 1143.9, 44.6},
	{50, "exponential", 622.6, 24.8, 36359.2, 2999.5},
	{50, "equal jitter", 347.0, 6.6, 4205.0, 584.9},
	{50, "full jitter", 333.3, 5.0, 2869.0, 534.0},
	{50, "decorrelated jitter", 377.2, 11.7, 2258.9, 489.1},
	{100, "no delays", 2421.9, 34.5, 2017.3, 42.6},
	{100, "exponential", 1848.2, 56.1, 62881.4, 3701.2},
	{100, "equal jitter", 812.7, 8.2, 6630.7, 649.0},
	{100, "full jitter", 797.4, 8.1, 4899.8, 530.0},
	{100, "decorrelated jitter", 1002.2, 30.3, 4619.2, 691.1},
	{190, "no delays", 8006.9, 56.1, 3535.7, 46.5},
	{190, "exponential", 5159.2, 107.2, 100784.3, 4127.5},
	{190, "equal jitter", 1759.5, 12.9, 9353.4, 575.5},
	{190, "full jitter", 1772.0, 12.9, 7420.1, 530.3},
	{190, "decorrelated jitter", 2425.8, 54.0, 7910.0, 874.0},
}

// Ours are within a tenth of the published means, or within what the means of so few runs differ by. The first of the
// decorrelated delays is where they differ: the base here, and up to three times as long there, which saves some calls.
func TestJitterAsPublished(t *testing.T) {
	slow(t)
	t.Parallel()
	ours := make(map[int]map[string]*scenario.PolicyReport)
	for _, want := range publishedJitter {
		if ours[want.clients] == nil {
			s := load(t, "jitter")
			s.Callers.Clients = want.clients
			s.Duration = 2 * s.Duration // a hundred seconds are the mean of 190 without jitter
			ours[want.clients] = compare(t, s)
		}
		p := ours[want.clients][want.policy]
		runs := float64(len(p.Runs))
		calls := mean(p, func(r *scenario.Run) float64 { return float64(r.TotalRequests) })
		time := 1000 * mean(p, func(r *scenario.Run) float64 { return r.Completion })
		name := fmt.Sprint(want.clients, " clients, ", want.policy)
		t.Logf("%s: calls %.0f, published %.0f; %.0f ms, published %.0f ms", name, calls, want.calls, time, want.time)
		band := 0.1
		if want.policy == "decorrelated jitter" {
			band = 0.15
		}
		assert.InDelta(t, want.calls, calls, max(band*want.calls, 4*want.callsSpread/math.Sqrt(runs)), name)
		assert.InDelta(t, want.time, time, max(want.time/10, 4*want.timeSpread/math.Sqrt(runs)), name)
		assert.InDelta(t, 1, p.Figures["success"].Low, 0, name)
	}
}

// The figures of mbrooker/simulator_example, retry_sim, of which the article shows the graphs: its algorithm run again,
// 5 runs each of 10 s with 1000 calls a second; load is requests a call.
var publishedRetries = []struct {
	clients              int
	policy               string
	fails, load, success float64
}{
	{1, "three retries, budget", 0.01, 1.010, 1.0000},
	{1, "three retries, budget", 0.05, 1.052, 0.9998},
	{1, "three retries, budget", 0.1, 1.093, 0.9832},
	{1, "three retries, budget", 0.2, 1.100, 0.8805},
	{1, "three retries, budget", 0.5, 1.100, 0.5526},
	{1, "three retries, budget", 1.0, 1.100, 0.0000},
	{10, "three retries, budget", 0.01, 1.010, 1.0000},
	{10, "three retries, budget", 0.05, 1.053, 0.9999},
	{10, "three retries, budget", 0.1, 1.094, 0.9835},
	{10, "three retries, budget", 0.2, 1.103, 0.8836},
	{10, "three retries, budget", 0.5, 1.104, 0.5534},
	{10, "three retries, budget", 1.0, 1.104, 0.0000},
	{100, "no retries", 0.01, 1.000, 0.9900},
	{100, "no retries", 0.05, 1.000, 0.9513},
	{100, "no retries", 0.1, 1.000, 0.9009},
	{100, "no retries", 0.2, 1.000, 0.8012},
	{100, "no retries", 0.5, 1.000, 0.4978},
	{100, "no retries", 1.0, 1.000, 0.0000},
	{100, "three retries", 0.01, 1.010, 1.0000},
	{100, "three retries", 0.05, 1.051, 1.0000},
	{100, "three retries", 0.1, 1.112, 1.0000},
	{100, "three retries", 0.2, 1.249, 0.9984},
	{100, "three retries", 0.5, 1.869, 0.9409},
	{100, "three retries", 1.0, 4.000, 0.0000},
	{100, "three retries, budget", 0.01, 1.011, 1.0000},
	{100, "three retries, budget", 0.05, 1.052, 0.9999},
	{100, "three retries, budget", 0.1, 1.102, 0.9921},
	{100, "three retries, budget", 0.2, 1.135, 0.9066},
	{100, "three retries, budget", 0.5, 1.142, 0.5647},
	{100, "three retries, budget", 1.0, 1.143, 0.0000},
	{1000, "three retries, budget", 0.01, 1.010, 1.0000},
	{1000, "three retries, budget", 0.05, 1.053, 1.0000},
	{1000, "three retries, budget", 0.1, 1.109, 0.9997},
	{1000, "three retries, budget", 0.2, 1.236, 0.9892},
	{1000, "three retries, budget", 0.5, 1.460, 0.7303},
	{1000, "three retries, budget", 1.0, 1.491, 0.0000},
}

func TestRetriesAsPublished(t *testing.T) {
	slow(t)
	t.Parallel()
	ours := make(map[string]map[string]*scenario.PolicyReport)
	for _, want := range publishedRetries {
		name := fmt.Sprint(want.clients, " clients, ", want.fails, " fail")
		if ours[name] == nil {
			s := load(t, "failure-rate")
			s.Seeds, s.Callers.Clients, s.Callee.Failures = 2, want.clients, want.fails
			ours[name] = compare(t, s)
		}
		p := ours[name][want.policy]
		load, success := p.Figures["amplification"].Mid, p.Figures["success"].Mid
		t.Logf("%s, %s: load %.3f, published %.3f; success %.4f, published %.4f", name, want.policy, load, want.load, success, want.success)
		assert.InDelta(t, want.load, load, 0.03, name)
		assert.InDelta(t, want.success, success, 0.02, name)
	}
}
