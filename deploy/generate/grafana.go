package main

import (
	"bytes"
	"encoding/json"
)

// schemaVersion is that of Grafana 12.4, which also reads older ones.
const schemaVersion = 42

// A dashboard is one as Grafana reads it, as far as it is used here. deploy/grafana/check holds it
// to the types that Grafana publishes.
type dashboard struct {
	file string

	UID           string          `json:"uid"`
	Title         string          `json:"title"`
	Description   string          `json:"description"`
	Tags          []string        `json:"tags"`
	SchemaVersion int             `json:"schemaVersion"` //nolint:tagliatelle // Grafana's names
	Version       int             `json:"version"`
	Editable      bool            `json:"editable"`
	GraphTooltip  int             `json:"graphTooltip"` //nolint:tagliatelle // as above
	Refresh       string          `json:"refresh"`
	Time          timeRange       `json:"time"`
	Timezone      string          `json:"timezone"`
	Templating    list[variable]  `json:"templating"`
	Annotations   list[struct{}]  `json:"annotations"`
	Links         []dashboardLink `json:"links"`
	Panels        []panel         `json:"panels"`
}

type list[T any] struct {
	List []T `json:"list"`
}

type timeRange struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// json returns the dashboard as a file.
func (d dashboard) json() ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(d)
	return text.Bytes(), err
}

// A variable is chosen at the top of a dashboard.
type variable struct {
	Name       string      `json:"name"`
	Label      string      `json:"label"`
	Type       string      `json:"type"`
	Datasource *datasource `json:"datasource,omitempty"`
	Query      string      `json:"query"`
	Current    *selection  `json:"current,omitempty"`
	Refresh    int         `json:"refresh"`
	Multi      bool        `json:"multi"`
	IncludeAll bool        `json:"includeAll"`         //nolint:tagliatelle // Grafana's names
	AllValue   string      `json:"allValue,omitempty"` //nolint:tagliatelle // as above
	Sort       int         `json:"sort"`
	Hide       int         `json:"hide"`
}

// A selection is what a variable is set to at first.
type selection struct {
	Text  []string `json:"text"`
	Value []string `json:"value"`
}

// A datasource names where panels ask.
type datasource struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

// prometheus is the one that is chosen by the variable datasource.
var prometheus = datasource{"prometheus", "${datasource}"}

// A dashboardLink stands at the top of a dashboard or in the corner of a panel.
type dashboardLink struct {
	Title       string   `json:"title"`
	Type        string   `json:"type"`
	URL         string   `json:"url"`
	Tags        []string `json:"tags"`
	Tooltip     string   `json:"tooltip"`
	Icon        string   `json:"icon"`
	AsDropdown  bool     `json:"asDropdown"`  //nolint:tagliatelle // Grafana's names
	IncludeVars bool     `json:"includeVars"` //nolint:tagliatelle // as above
	KeepTime    bool     `json:"keepTime"`    //nolint:tagliatelle // as above
	TargetBlank bool     `json:"targetBlank"` //nolint:tagliatelle // as above
}

// A panel is a chart, a table, a number or the heading of a row.
type panel struct {
	ID              int              `json:"id"`
	Type            string           `json:"type"`
	Title           string           `json:"title"`
	Description     string           `json:"description,omitempty"`
	GridPos         gridPos          `json:"gridPos"` //nolint:tagliatelle // Grafana's names
	Datasource      *datasource      `json:"datasource,omitempty"`
	Targets         []target         `json:"targets,omitempty"`
	FieldConfig     *fieldConfig     `json:"fieldConfig,omitempty"` //nolint:tagliatelle // as above
	Options         map[string]any   `json:"options,omitempty"`
	Transformations []transformation `json:"transformations,omitempty"`
	Links           []dashboardLink  `json:"links,omitempty"`

	// Of the heading of a row: the panels below it follow it in the dashboard.
	Collapsed *bool    `json:"collapsed,omitempty"`
	Panels    *[]panel `json:"panels,omitempty"`
}

type gridPos struct {
	H int `json:"h"`
	W int `json:"w"`
	X int `json:"x"`
	Y int `json:"y"`
}

// A target is a query of a panel.
type target struct {
	RefID        string     `json:"refId"` //nolint:tagliatelle // Grafana's names
	Datasource   datasource `json:"datasource"`
	Expr         string     `json:"expr"`
	LegendFormat string     `json:"legendFormat,omitempty"` //nolint:tagliatelle // as above
	Format       string     `json:"format"`
	Range        bool       `json:"range"`
	Instant      bool       `json:"instant"`
	Exemplar     bool       `json:"exemplar"`
	EditorMode   string     `json:"editorMode"` //nolint:tagliatelle // as above
}

type transformation struct {
	ID      string         `json:"id"`
	Options map[string]any `json:"options"`
}

type fieldConfig struct {
	Defaults  fieldDefaults `json:"defaults"`
	Overrides []override    `json:"overrides"`
}

type fieldDefaults struct {
	Unit       string         `json:"unit,omitempty"`
	Min        *float64       `json:"min,omitempty"`
	NoValue    string         `json:"noValue,omitempty"` //nolint:tagliatelle // Grafana's names
	Color      *fieldColor    `json:"color,omitempty"`
	Thresholds *thresholds    `json:"thresholds,omitempty"`
	Mappings   []mapping      `json:"mappings,omitempty"`
	Links      []dataLink     `json:"links,omitempty"`
	Custom     map[string]any `json:"custom,omitempty"`
}

type fieldColor struct {
	Mode string `json:"mode"`
}

type thresholds struct {
	Mode  string          `json:"mode"`
	Steps []thresholdStep `json:"steps"`
}

// A thresholdStep begins at a value, the first one at null.
type thresholdStep struct {
	Color string   `json:"color"`
	Value *float64 `json:"value"`
}

// A mapping shows words in place of numbers.
type mapping struct {
	Type    string                `json:"type"`
	Options map[string]mappedWord `json:"options"`
}

type mappedWord struct {
	Text  string `json:"text"`
	Color string `json:"color"`
	Index int    `json:"index"`
}

// A dataLink is behind a point of a chart or a cell of a table.
type dataLink struct {
	Title       string `json:"title"`
	URL         string `json:"url"`
	TargetBlank bool   `json:"targetBlank"` //nolint:tagliatelle // Grafana's names
}

type override struct {
	Matcher    matching   `json:"matcher"`
	Properties []property `json:"properties"`
}

type matching struct {
	ID      string `json:"id"`
	Options string `json:"options"`
}

type property struct {
	ID    string `json:"id"`
	Value any    `json:"value"`
}
