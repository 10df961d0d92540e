package main

// A section is a row of panels below a heading.
type section struct {
	title  string
	panels []panel
}

// tag marks the dashboards of this toolkit, so that they find each other.
const tag = "resilience"

// signalsPage says what every signal means.
const signalsPage = "https://github.com/observable-go/toolkit/blob/main/docs/dashboards.md"

// newDashboard lays out the sections from top to bottom, and their panels from left to right.
func newDashboard(file, uid, title, description string, variables []variable, sections []section) dashboard {
	var panels []panel
	y := 0
	place := func(p panel, x int) {
		p.ID = len(panels) + 1
		p.GridPos.X, p.GridPos.Y = x, y
		panels = append(panels, p)
	}
	for _, s := range sections {
		place(heading(s.title), 0)
		y++
		x, height := 0, 0
		for _, p := range s.panels {
			if x+p.GridPos.W > gridWidth {
				y += height
				x, height = 0, 0
			}
			place(p, x)
			x += p.GridPos.W
			height = max(height, p.GridPos.H)
		}
		y += height
	}
	return dashboard{
		file: file, UID: uid, Title: title, Description: description, Tags: []string{tag},
		SchemaVersion: schemaVersion, Editable: true, GraphTooltip: 1, Refresh: "30s",
		Time: timeRange{"now-1h", "now"}, Timezone: "browser",
		Templating: list[variable]{variables}, Annotations: list[struct{}]{[]struct{}{}},
		Links: []dashboardLink{
			{Title: "Resilience", Type: "dashboards", Tags: []string{tag}, Icon: "external link", IncludeVars: true, KeepTime: true},
			page("Alerts and what to do", signalsPage+"#alerts"),
		},
		Panels: panels,
	}
}

// gridWidth is how wide a dashboard of Grafana is.
const gridWidth = 24

func heading(title string) panel {
	open := false
	return panel{Type: "row", Title: title, GridPos: gridPos{W: gridWidth, H: 1}, Collapsed: &open, Panels: &[]panel{}}
}

// Variables. Each has the values that the series have which the dashboard shows.
func datasourceVariable() variable {
	return variable{Name: "datasource", Label: "Data source", Type: "datasource", Query: "prometheus", Refresh: 1}
}

func labelVariable(name, shown, query string, multi bool) variable {
	v := variable{Name: name, Label: shown, Type: "query", Datasource: &prometheus, Query: query, Refresh: 2, Multi: multi, Sort: 1}
	if multi {
		v.IncludeAll, v.AllValue = true, ".+"
		v.Current = &selection{[]string{"All"}, []string{"$__all"}}
	}
	return v
}

// jobVariable chooses among the services that have such series.
func jobVariable(series string, multi bool) variable {
	return labelVariable("job", "Service", "label_values("+series+", job)", multi)
}
