package main

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Links from outside lead to the uids, so they stay.
func TestUids(t *testing.T) {
	t.Parallel()
	uids := map[string]string{}
	for _, d := range dashboards(theRegistry(t)) {
		uids[d.file] = d.UID
	}
	assert.Equal(t, map[string]string{
		"overview": "resilience-overview", "policy": "resilience-policy", "guards": "resilience-guards",
	}, uids)
}

func TestPanels(t *testing.T) {
	t.Parallel()
	for _, d := range dashboards(theRegistry(t)) {
		ids := map[int]bool{}
		titles := map[string]bool{}
		taken := map[[2]int]string{}
		for _, p := range d.Panels {
			where := d.file + ": " + p.Title
			assert.False(t, ids[p.ID], where)
			ids[p.ID] = true
			for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
				for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
					assert.Empty(t, taken[[2]int{x, y}], "%s covers another panel", where)
					taken[[2]int{x, y}] = where
				}
			}
			assert.LessOrEqual(t, p.GridPos.X+p.GridPos.W, gridWidth, where)
			if p.Type == "row" {
				continue
			}
			assert.False(t, titles[p.Title], "%s: two panels of this title", where)
			titles[p.Title] = true
			assert.NotEmpty(t, p.Description, where)
			assert.NotEmpty(t, p.Targets, where)
			assert.NotEmpty(t, p.FieldConfig.Defaults.NoValue, "%s: what does it mean if there is nothing?", where)
			checkTargets(t, where, p.Targets)
		}
	}
}

func checkTargets(t *testing.T, where string, targets []target) {
	t.Helper()
	for _, target := range targets {
		// Only the buckets of histograms have exemplars.
		assert.Equal(t, strings.Contains(target.Expr, "_bucket{"), target.Exemplar, "%s: exemplars", where)
		assert.NotEqual(t, target.Range, target.Instant, where)
		assert.Regexp(t, `job=~?"\$job"`, target.Expr, where)
	}
}

// A variable that a query or a link uses is one of the dashboard, and each of them is used.
func TestVariables(t *testing.T) {
	t.Parallel()
	used := regexp.MustCompile(`"\$(\w+)\\?"|\$\{(\w+)\}`)
	for _, d := range dashboards(theRegistry(t)) {
		declared := map[string]bool{}
		for _, v := range d.Templating.List {
			declared[v.Name] = false
		}
		text, err := json.Marshal(d)
		require.NoError(t, err)
		for _, m := range used.FindAllStringSubmatch(strings.ReplaceAll(string(text), `\"`, `"`), -1) {
			name := m[1] + m[2]
			if strings.HasPrefix(name, "__") {
				continue // of Grafana itself
			}
			_, ok := declared[name]
			assert.True(t, ok, "%s: the variable %s is not declared", d.file, name)
			declared[name] = true
		}
		for name, isUsed := range declared {
			assert.True(t, isUsed, "%s: the variable %s is not used", d.file, name)
		}
	}
}

// Links lead to dashboards and to pages that are there.
func TestLinks(t *testing.T) {
	t.Parallel()
	r := theRegistry(t)
	pages := map[string]bool{signalsPage + "#alerts": true, runbooks + "${__value.raw}.md": true}
	for _, a := range alerts(r) {
		pages[runbooks+a.name+".md"] = true
	}
	var policyVariables []string
	for _, v := range policyBoard(r).Templating.List {
		policyVariables = append(policyVariables, v.Name)
	}
	linked := map[string]bool{}
	for _, d := range dashboards(r) {
		text, err := d.json()
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`"url": "(.*?)"`).FindAllStringSubmatch(string(text), -1) {
			url := m[1]
			linked[url] = true
			switch {
			case url == "":
			case strings.HasPrefix(url, "/d/"+uidPolicy+"?"):
				for _, variable := range regexp.MustCompile(`var-(\w+)=`).FindAllStringSubmatch(url, -1) {
					assert.Contains(t, policyVariables, variable[1], "%s links to %s", d.file, url)
				}
			default:
				assert.True(t, pages[url], "%s links to %s", d.file, url)
			}
		}
	}
	for _, a := range alerts(r) {
		assert.True(t, linked[runbooks+a.name+".md"], "no panel links to what to do about %s", a.name)
	}
}
