package main

import (
	"maps"

	"github.com/observable-go/toolkit/resilience/telemetry"
)

// Units of Grafana.
const (
	share01   = "percentunit" // 0.05 is shown as 5 %
	perSecond = "ops"
	attemptsU = "none"
	seconds   = "s"
)

// Uids of the dashboards: links lead to them, so they stay.
const (
	uidOverview = "resilience-overview"
	uidPolicy   = "resilience-policy"
	uidGuards   = "resilience-guards"
)

// Legends of series.
const (
	legendPolicy = "{{resilience_policy_name}} ({{job}})"
	legendResult = "{{resilience_result}}: " + legendPolicy
	legendGuard  = "{{guard}}: " + legendPolicy
	legendBudget = "{{resilience_budget_name}} ({{job}})"
)

// Texts in place of a chart without data.
const (
	noneYet = "none yet" // of failures, whose series appear with the first one
	noCalls = "no calls"
	noWaits = "no waits yet"
)

// q is a query with the legend of its series.
func q(legend, expr string) target {
	return target{Datasource: prometheus, Expr: expr, LegendFormat: legend, Format: "time_series", Range: true, EditorMode: "code"}
}

// traced is a query over buckets, whose exemplars lead to traces.
func traced(legend, expr string) target {
	t := q(legend, expr)
	t.Exemplar = true
	return t
}

// newPanel returns a panel of a type, as wide as it says of 24.
func newPanel(kind, title, description, unit string, width, height int, targets []target) panel {
	for i := range targets {
		targets[i].RefID = string(rune('A' + i))
	}
	return panel{
		Type: kind, Title: title, Description: description, Datasource: &prometheus, Targets: targets,
		GridPos:     gridPos{W: width, H: height},
		FieldConfig: &fieldConfig{Defaults: fieldDefaults{Unit: unit, NoValue: noneYet}, Overrides: []override{}},
	}
}

// chart shows series over time.
func chart(title, description, unit string, targets ...target) panel {
	p := newPanel("timeseries", title, description, unit, 8, 8, targets)
	zero := 0.0
	p.FieldConfig.Defaults.Min = &zero
	p.FieldConfig.Defaults.Color = &fieldColor{"palette-classic-by-name"}
	p.FieldConfig.Defaults.Custom = map[string]any{"fillOpacity": 10, "lineWidth": 1, "showPoints": "auto", "spanNulls": false}
	p.Options = map[string]any{
		"legend":  map[string]any{"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []string{}},
		"tooltip": map[string]any{"mode": "multi", "sort": "desc"},
	}
	return p
}

// stacked stacks the series of a chart.
func (p panel) stacked() panel {
	p.FieldConfig.Defaults.Custom["stacking"] = map[string]any{"mode": "normal", "group": "A"}
	p.FieldConfig.Defaults.Custom["fillOpacity"] = 40
	return p
}

// colored gives the series whose legend matches a regular expression a color.
func (p panel) colored(pattern, color string) panel {
	p.FieldConfig.Overrides = append(p.FieldConfig.Overrides, override{matching{"byRegexp", "/" + pattern + "/"},
		[]property{{"color", map[string]any{"mode": "fixed", "fixedColor": color}}}})
	return p
}

// empty says what it means if a panel has no data.
func (p panel) empty(text string) panel {
	p.FieldConfig.Defaults.NoValue = text
	return p
}

// emptyAll says the same of all panels that say nothing else.
func emptyAll(text string, panels []panel) []panel {
	for i, p := range panels {
		if p.FieldConfig.Defaults.NoValue == noneYet {
			panels[i] = p.empty(text)
		}
	}
	return panels
}

// half makes a panel as wide as half of the dashboard.
func (p panel) half() panel {
	p.GridPos.W = gridWidth / 2
	return p
}

// alertsAbove draws the line above which an alert fires, with a link to its page.
func (p panel) alertsAbove(threshold float64, alert string) panel {
	p.FieldConfig.Defaults.Thresholds = steps(threshold)
	if p.Type == "timeseries" {
		p.FieldConfig.Defaults.Custom["thresholdsStyle"] = map[string]any{"mode": "dashed"}
	}
	return p.alertsAt(alert)
}

// alertsAt links to the page of an alert whose condition is no line in the chart.
func (p panel) alertsAt(alert string) panel {
	p.Links = append(p.Links, page("What to do: "+alert, runbooks+alert+".md"))
	return p
}

// toPolicy leads from each series to the dashboard of its policy.
func (p panel) toPolicy() panel {
	p.FieldConfig.Defaults.Links = []dataLink{{
		Title: "This policy",
		URL: "/d/" + uidPolicy + "?var-datasource=${datasource}&var-job=${__field.labels.job}&var-policy=${__field.labels." +
			label(telemetry.AttrPolicyName) + "}&${__url_time_range}",
	}}
	return p
}

// steps is green, and red from the threshold on.
func steps(threshold float64) *thresholds {
	return &thresholds{"absolute", []thresholdStep{{"green", nil}, {"red", &threshold}}}
}

// stat shows one number, and how it came there.
func stat(title, description, unit string, expr string) panel {
	p := newPanel("stat", title, description, unit, 4, 5, []target{q("", expr)})
	p.FieldConfig.Defaults.Color = &fieldColor{"thresholds"}
	p.FieldConfig.Defaults.Thresholds = &thresholds{"absolute", []thresholdStep{{"blue", nil}}}
	p.Options = map[string]any{
		"colorMode": "value", "graphMode": "area", "justifyMode": "auto", "orientation": "auto", "textMode": "auto", "wideLayout": true,
		"showPercentChange": false, "percentChangeColorMode": "standard",
		"reduceOptions": map[string]any{"calcs": []string{"lastNotNull"}, "fields": "", "values": false},
	}
	return p
}

// heatmap shows how values are spread over time. Its dots are exemplars: they lead to traces.
func heatmap(title, description string, bucketRates string) panel {
	t := traced("{{le}}", sumBy([]string{"le"}, bucketRates))
	t.Format = "heatmap"
	p := newPanel("heatmap", title, description, "", 12, 9, []target{t})
	p.FieldConfig.Defaults.Custom = map[string]any{"scaleDistribution": map[string]any{"type": "linear"}}
	p.Options = map[string]any{
		"calculate": false, "cellGap": 1, "showValue": "never",
		"color": map[string]any{
			"mode": "scheme", "scheme": "Oranges", "steps": 64, "exponent": 0.5, "fill": "dark-orange", "reverse": false, "scale": "exponential",
		},
		"exemplars":    map[string]any{"color": "rgba(31, 120, 193, 0.9)"},
		"filterValues": map[string]any{"le": 1e-9},
		"legend":       map[string]any{"show": true},
		"rowsFrame":    map[string]any{"layout": "auto"},
		"tooltip":      map[string]any{"mode": "single", "yHistogram": true, "showColorScale": false},
		"yAxis":        map[string]any{"axisPlacement": "left", "reverse": false, "unit": seconds},
	}
	return p
}

// states shows which state something was in over time, by numbers that stand for words.
func states(title, description string, words map[string]mappedWord, targets ...target) panel {
	p := newPanel("state-timeline", title, description, "", 12, 8, targets)
	p.FieldConfig.Defaults.Mappings = []mapping{{"value", words}}
	p.FieldConfig.Defaults.Color = &fieldColor{"thresholds"}
	p.FieldConfig.Defaults.Thresholds = &thresholds{"absolute", []thresholdStep{{"green", nil}}}
	p.FieldConfig.Defaults.Custom = map[string]any{"fillOpacity": 80, "lineWidth": 0}
	p.Options = map[string]any{
		"alignValue": "left", "mergeValues": true, "rowHeight": 0.8, "showValue": "auto",
		"legend":  map[string]any{"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []string{}},
		"tooltip": map[string]any{"mode": "single", "sort": "none"},
	}
	return p
}

// A column is a number in a table.
type column struct {
	name, unit string
	expr       string
	threshold  float64 // red from here on, 0 for never
}

// table shows the newest values, a row for each set of labels. It is sorted by its first number.
func table(title, description string, labels map[string]string, columns ...column) panel {
	targets := make([]target, len(columns))
	overrides := make([]override, 0, len(columns)+len(labels))
	renamed := map[string]string{}
	for i, c := range columns {
		targets[i] = q("", c.expr)
		targets[i].Format, targets[i].Range, targets[i].Instant = "table", false, true
		value := "Value #" + string(rune('A'+i))
		if len(columns) == 1 {
			value = "Value"
		}
		renamed[value] = c.name
		properties := []property{{"unit", c.unit}}
		if c.threshold > 0 {
			properties = append(properties, property{"thresholds", steps(c.threshold)},
				property{"custom.cellOptions", map[string]any{"type": "color-text"}})
		}
		overrides = append(overrides, override{matching{"byName", c.name}, properties})
	}
	maps.Copy(renamed, labels)
	p := newPanel("table", title, description, "", 24, 9, targets)
	p.FieldConfig.Overrides = overrides
	p.Transformations = []transformation{
		{"merge", map[string]any{}},
		{"organize", map[string]any{
			"excludeByName": map[string]bool{"Time": true}, "renameByName": renamed, "indexByName": map[string]int{},
		}},
	}
	p.Options = map[string]any{
		"showHeader": true, "cellHeight": "sm", "frameIndex": 0,
		"sortBy": []map[string]any{{"displayName": columns[0].name, "desc": true}},
	}
	return p
}

// linked puts a link behind the cells of a column.
func (p panel) linked(column, title, url string) panel {
	p.FieldConfig.Overrides = append(p.FieldConfig.Overrides, override{matching{"byName", column},
		[]property{{"links", []dataLink{{Title: title, URL: url}}}}})
	return p
}

// page is a link to a page outside of Grafana.
func page(title, url string) dashboardLink {
	return dashboardLink{Title: title, Type: "link", URL: url, Tags: []string{}, Icon: "doc", TargetBlank: true}
}
