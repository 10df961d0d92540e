package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

// What Prometheus's own tool says of the rules and their tests is a test of e2e. Here it is only whether
// the tests are all there.

func ruleTests(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, "deploy", "prometheus", "tests", "*.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	return paths
}

// Every recording rule has a test of its value. Every alert has tests of when it fires, and of a time
// before that and one after that when it does not.
func TestEveryRuleIsTested(t *testing.T) {
	t.Parallel()
	records := map[string]bool{}
	fires, silent := map[string]bool{}, map[string]int{}
	for _, path := range ruleTests(t) {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		var file struct {
			Tests []struct {
				Exprs []struct {
					Samples []struct{ Labels string } `yaml:"exp_samples"`
				} `yaml:"promql_expr_test"`
				Alerts []struct {
					Name   string `yaml:"alertname"`
					Alerts []any  `yaml:"exp_alerts"`
				} `yaml:"alert_rule_test"`
			}
		}
		require.NoError(t, yaml.Unmarshal(text, &file), path)
		for _, test := range file.Tests {
			for _, e := range test.Exprs {
				for _, sample := range e.Samples {
					record, _, _ := strings.Cut(sample.Labels, "{")
					records[record] = true
				}
			}
			for _, a := range test.Alerts {
				if len(a.Alerts) > 0 {
					fires[a.Name] = true
				} else {
					silent[a.Name]++
				}
			}
		}
	}
	r := theRegistry(t)
	for _, g := range ruleGroups(r) {
		for _, rule := range g.rules {
			assert.True(t, records[rule.record], "%s has no test", rule.record)
		}
	}
	names := []string{}
	for _, a := range alerts(r) {
		names = append(names, a.name)
		assert.True(t, fires[a.name], "%s has no test of when it fires", a.name)
		assert.GreaterOrEqual(t, silent[a.name], 2, "%s has no test of when it does not fire, before and after", a.name)
	}
	for name := range silent {
		assert.True(t, slices.Contains(names, name), "a test is for %s, which does not exist", name)
	}
}
