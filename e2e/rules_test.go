package e2e_test

import (
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/e2e/internal/backend"
	"github.com/observable-go/toolkit/resilience/retry"
)

// figures are what retries are judged by, computed from the callee's log.
type figures struct {
	calls, retried, saved, exhausted, retries float64
	latency                                   time.Duration // that retries added to all calls
}

// figures returns the figures of calls that ended as the callee's log says.
func (tr *traffic) figures(policy string) (f figures) {
	for _, log := range tr.callee.calls(policy) {
		first, last := log[0], log[len(log)-1]
		f.calls++
		f.retries += float64(len(log) - 1)
		f.latency += last.ended.Sub(first.ended)
		switch {
		case len(log) == 1:
			continue
		case last.status == 200:
			f.saved++
		case len(log) == maxAttempts:
			f.exhausted++
		}
		f.retried++
	}
	return f
}

// TestRules sends the same traffic twice, and asks everything in deploy about what the second time
// added to the first.
func TestRules(t *testing.T) { //nolint:tparallel // its parts look at the same traffic
	t.Parallel()
	s := newService(t, "e2e-rules")
	const steady, pause = "orders.steady", 50 * time.Millisecond
	send := func() *traffic {
		tr := newTraffic(t, s)
		tr.sendOrders(tr.policy(steady, retry.WithBackoff(every(pause))), steady)
		sendEverything(tr)
		return tr
	}
	send()
	tr := send()

	t.Run("queries", func(t *testing.T) { testQueries(t, s.name) })
	t.Run("figures", func(t *testing.T) { testFigures(t, s.name, steady, tr.figures(steady)) })
	t.Run("health", func(t *testing.T) {
		rules, err := prometheus.Rules(t.Context())
		require.NoError(t, err)
		require.NotEmpty(t, rules)
		for _, rule := range rules {
			assert.Equal(t, "ok", rule.Health, "%s: %s", rule.Name, rule.Error)
		}
	})
}

// testFigures compares what the recording rules say with the figures of the callee's log.
func testFigures(t *testing.T, job, policy string, want figures) {
	require.Positive(t, want.saved)
	require.Positive(t, want.exhausted)
	value := func(c require.TestingT, rule string) float64 {
		samples, err := prometheus.Query(t.Context(), rule+`{job="`+job+`",resilience_policy_name="`+policy+`"}`)
		require.NoError(c, err)
		require.Len(c, samples, 1, rule)
		return samples[0].Value
	}
	// Rates are increases which Prometheus extrapolates, all by the same factor: so their ratios
	// are exact, but for the millisecond to which it rounds times.
	const exact = 1e-3
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		calls := value(c, "resilience:calls:rate5m")
		assert.InEpsilon(c, want.retried/want.calls, value(c, "resilience:retry_rate:ratio5m"), exact)
		assert.InEpsilon(c, want.saved/want.calls, value(c, "resilience:success_after_retry:ratio5m"), exact)
		assert.InEpsilon(c, want.retries/want.calls, value(c, "resilience:retries_per_call:ratio5m"), exact)
		assert.InEpsilon(c, want.exhausted/want.calls, value(c, "resilience:exhausted:ratio5m"), exact)
		assert.InEpsilon(c, (want.calls+want.retries)/want.calls, value(c, "resilience:amplification:ratio5m"), exact)
		assert.InEpsilon(c, want.exhausted/want.calls, value(c, "resilience:exhausted:rate5m")/calls, exact)

		// The callee sees the same waits, at the other end of the line.
		const line = 0.010 // seconds a call
		assert.InDelta(c, want.latency.Seconds()/want.retried,
			value(c, "resilience:retry_latency_seconds_per_retried_call:mean5m"), line)
		assert.InDelta(c, want.latency.Seconds()/want.calls, value(c, "resilience:retry_latency_seconds:rate5m")/calls, line)

		// Of two samples Prometheus extrapolates by at most half of their distance to either side.
		const window = 300
		assert.GreaterOrEqual(c, calls*window, want.calls*(1-exact))
		assert.LessOrEqual(c, calls*window, want.calls*(2+exact))
	}, waitLimit, time.Second)
}

// A query is one of those that deploy makes, with the variables of the dashboards replaced.
type query struct{ Source, Title, Expr string }

// testQueries asks every query of the rules, alerts and dashboards: each must have an answer
// about the job.
func testQueries(t *testing.T, job string) {
	cmd := exec.CommandContext(t.Context(), "go", "run", "./deploy/generate", "-queries", "-job", job)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOWORK=off")
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	require.NoError(t, err)
	var queries []query
	require.NoError(t, json.Unmarshal(text, &queries))
	sources := map[string]int{}
	for _, q := range queries {
		sources[q.Source]++
		t.Run(q.Source+"/"+q.Title, func(t *testing.T) {
			require.EventuallyWithT(t, func(c *assert.CollectT) {
				samples, err := prometheus.Query(t.Context(), q.Expr)
				require.NoError(c, err)
				assert.True(c, answers(samples, job, q.labels()), "%s\nhas no answer about %s: %v", q.Expr, job, samples)
			}, waitLimit, time.Second)
		})
	}
	for _, source := range []string{"rules", "alerts", "dashboard/overview", "dashboard/policy", "dashboard/guards"} {
		assert.NotZero(t, sources[source], source)
	}
}

var aggregated = regexp.MustCompile(`^\w+ by \(([^)]*)\)`)

// labels are those by which the query is an aggregation. Prometheus adds up by a label that there
// is not without a word.
func (q query) labels() []string {
	if by := aggregated.FindStringSubmatch(strings.TrimSpace(q.Expr)); by != nil {
		return strings.Split(strings.ReplaceAll(by[1], " ", ""), ",")
	}
	return nil
}

// answers reports whether some samples are numbers, and of this job if they say which. Each of
// the labels must be on one of them.
func answers(samples []backend.Sample, job string, labels []string) bool {
	answered, there := false, map[string]bool{}
	for _, s := range samples {
		if of, ok := s.Labels["job"]; (ok && of != job) || math.IsNaN(s.Value) || math.IsInf(s.Value, 0) {
			continue
		}
		answered = true
		for label := range s.Labels {
			there[label] = true
		}
	}
	return answered && !slices.ContainsFunc(labels, func(label string) bool { return !there[label] })
}

// TestPromtool lets Prometheus' own tool check what is in deploy, and run its tests of the rules.
func TestPromtool(t *testing.T) {
	t.Parallel()
	needBackends(t)
	promtool, err := backend.Program("promtool")
	require.NoError(t, err)
	tests, err := filepath.Glob(root + "/deploy/prometheus/tests/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, tests)
	for _, args := range [][]string{
		{"check", "config", root + "/deploy/prometheus/prometheus.yaml"},
		{"check", "rules", "--lint=all", "--lint-fatal", rules, alerts},
		append([]string{"test", "rules"}, tests...),
	} {
		t.Run(args[0]+" "+args[1], func(t *testing.T) {
			t.Parallel()
			output, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput()
			require.NoError(t, err, string(output))
		})
	}
}
