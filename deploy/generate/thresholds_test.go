package main

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The line in a chart is where an alert fires to which the panel links.
func TestThresholdsAreThoseOfAlerts(t *testing.T) {
	t.Parallel()
	r := theRegistry(t)
	fires := map[string][]float64{} // the numbers that the condition of an alert names
	for _, a := range alerts(r) {
		for _, m := range regexp.MustCompile(`> ([\d.]+)`).FindAllStringSubmatch(a.expr, -1) {
			number, err := strconv.ParseFloat(m[1], 64)
			require.NoError(t, err)
			fires[runbooks+a.name+".md"] = append(fires[runbooks+a.name+".md"], number)
		}
	}
	lines := 0
	for _, d := range dashboards(r) {
		for _, p := range d.Panels {
			if p.FieldConfig == nil || p.FieldConfig.Defaults.Custom["thresholdsStyle"] == nil {
				continue
			}
			where := d.file + ": " + p.Title
			require.NotNil(t, p.FieldConfig.Defaults.Thresholds, where)
			steps := p.FieldConfig.Defaults.Thresholds.Steps
			line := *steps[len(steps)-1].Value
			if line == 1 {
				line = 0 // of whole numbers: 1 is the first above 0
			}
			assert.True(t, slices.ContainsFunc(p.Links, func(l dashboardLink) bool {
				return slices.Contains(fires[l.URL], line)
			}), "%s: no alert that it links to fires above %v", where, line)
			lines++
		}
	}
	assert.GreaterOrEqual(t, lines, 8)
}

// Shares of policies without calls are NaN, by which a table cannot be sorted.
func TestTableHasNoNaN(t *testing.T) {
	t.Parallel()
	for _, p := range overview(theRegistry(t)).Panels {
		if strings.HasPrefix(p.Title, "Policies") {
			for _, target := range p.Targets {
				assert.Contains(t, target.Expr, ">= 0", target.RefID)
			}
			return
		}
	}
	assert.Fail(t, "no table of policies")
}
