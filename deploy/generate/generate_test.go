package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/observable-go/toolkit/resilience/adaptive"
	"github.com/observable-go/toolkit/resilience/breaker"
	"github.com/observable-go/toolkit/resilience/bulkhead"
	"github.com/observable-go/toolkit/resilience/ratelimit"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// root is the root of the repository.
const root = "../.."

func theRegistry(t *testing.T) *registry {
	t.Helper()
	r, err := readRegistry(root + "/docs/semconv/resilience.yaml")
	require.NoError(t, err)
	return r
}

// The files of the repository are those that the program writes.
func TestCommittedFiles(t *testing.T) {
	t.Parallel()
	require.NoError(t, run([]string{"-root", root, "-check"}, t.Output(), t.Output()))
}

func TestWriteAndCheck(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text, err := os.ReadFile(root + "/docs/semconv/resilience.yaml")
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "docs", "semconv"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "docs", "semconv", "resilience.yaml"), text, 0o644))

	require.Error(t, run([]string{"-root", dir, "-check"}, t.Output(), t.Output()), "nothing is written yet")
	require.NoError(t, run([]string{"-root", dir}, t.Output(), t.Output()))
	require.NoError(t, run([]string{"-root", dir, "-check"}, t.Output(), t.Output()))

	changed := filepath.Join(dir, "deploy", "prometheus", "rules.yaml")
	require.NoError(t, os.WriteFile(changed, []byte("groups: []\n"), 0o644))
	err = run([]string{"-root", dir, "-check"}, t.Output(), t.Output())
	require.ErrorContains(t, err, "deploy/prometheus/rules.yaml is not as it would be written")
}

func TestWrongUse(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		`unexpected argument "all"`:              {"all"},
		"-check and -queries exclude each other": {"-check", "-queries"},
		"-root nowhere":                          {"-root", "nowhere"},
		"not defined: -quiet":                    {"-quiet"},
	} {
		require.ErrorContains(t, run(args, t.Output(), &bytes.Buffer{}), want)
	}
}

// What docs/telemetry.md shows is what is recorded, by the same names.
func TestInStepWithTelemetryPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(root + "/docs/telemetry.md")
	require.NoError(t, err)
	space := regexp.MustCompile(`\s+|([(){},])\s+`)
	plain := func(expr string) string { return strings.ReplaceAll(space.ReplaceAllString(expr, "$1"), " ", "") }

	r := theRegistry(t)
	ours := map[string]string{}
	for _, g := range ruleGroups(r) {
		for _, rule := range g.rules {
			ours[g.name+" "+rule.record+" "+rule.guard] = plain(rule.expr)
		}
	}
	for _, a := range alerts(r) {
		ours["resilience-guards "+a.name+" "] = plain(a.expr) // the page shows it among the guards
	}
	shown := 0
	for _, block := range regexp.MustCompile("(?s)```yaml\n(groups:.*?)```").FindAllSubmatch(page, -1) {
		var file struct {
			Groups []struct {
				Name  string
				Rules []struct {
					Record, Alert, Expr string
					Labels              map[string]string
				}
			}
		}
		require.NoError(t, yaml.Unmarshal(block[1], &file))
		for _, g := range file.Groups {
			for _, rule := range g.Rules {
				name := g.Name + " " + rule.Record + rule.Alert + " " + rule.Labels[guardLabel]
				assert.Equal(t, plain(rule.Expr), ours[name], name)
				shown++
			}
		}
	}
	assert.GreaterOrEqual(t, shown, 16, "rules of docs/telemetry.md")
}

// The error types that keep attempts out of the amplification are those of the guards that reject.
func TestRefusals(t *testing.T) {
	t.Parallel()
	var types []string
	for _, err := range []interface{ ErrorType() string }{
		&breaker.OpenError{}, &bulkhead.FullError{}, &ratelimit.RateError{}, &adaptive.RateError{}, &adaptive.ThrottleError{},
	} {
		types = append(types, err.ErrorType())
	}
	assert.ElementsMatch(t, types, refusals)
}

func TestMistakesInTables(t *testing.T) {
	t.Parallel()
	r := theRegistry(t)
	for want, mistake := range map[string]func(){
		"is not in the registry":      func() { r.series("resilience.retry.call") },
		"is a histogram":              func() { r.series(telemetry.MetricRetryDelay) },
		"is a counter, no histogram":  func() { r.count(telemetry.MetricRetryCalls) },
		`has no value "exhaustion"`:   func() { r.series(telemetry.MetricRetryCalls, is(telemetry.AttrOutcome, "exhaustion")) },
		`has no value "refused_it"`:   func() { r.series(telemetry.MetricRetryCalls, not(telemetry.AttrOutcome, "success", "refused_it")) },
		`resilience.result has no va`: func() { r.series(telemetry.MetricBreakerCalls, is(telemetry.AttrResult, "open")) },
	} {
		func() {
			defer func() { assert.Contains(t, recover(), want) }()
			mistake()
		}()
	}
}

// Every metric of the registry is shown somewhere.
func TestEveryMetricIsUsed(t *testing.T) {
	t.Parallel()
	r := theRegistry(t)
	var all strings.Builder
	for _, q := range queries(r, nil) {
		all.WriteString(q.Expr + "\n")
	}
	for name, m := range r.metrics {
		assert.Contains(t, all.String(), promName(m), name)
	}
}

func TestQueries(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, run([]string{"-root", root, "-queries", "-job", "shop", "-policy", "get", "-budget", "b", "-rate-interval", "7s"},
		&out, t.Output()))
	var all []query
	require.NoError(t, json.Unmarshal(out.Bytes(), &all))
	sources := map[string]int{}
	for _, q := range all {
		sources[q.Source]++
		assert.NotEmpty(t, q.Title)
		assert.NotContains(t, q.Expr, "$", "%s: %s", q.Source, q.Title)
		if strings.HasPrefix(q.Source, "dashboard/") {
			assert.Contains(t, q.Expr, `job=~"shop"`, "%s: %s", q.Source, q.Title)
		}
	}
	assert.Contains(t, out.String(), `[7s]`)
	assert.Contains(t, out.String(), `resilience_policy_name=~\"get\"`)
	assert.Contains(t, out.String(), `resilience_budget_name=~\"b\"`)
	for _, source := range []string{"rules", "alerts", "dashboard/overview", "dashboard/policy", "dashboard/guards"} {
		assert.GreaterOrEqual(t, sources[source], 10, source)
	}
}
