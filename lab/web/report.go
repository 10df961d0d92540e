package web

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"io"
	"path"
	"regexp"
	"text/template"

	"github.com/observable-go/toolkit/lab/scenario"
)

//go:embed report/report.html
var reportPage string

//go:embed report/report.js
var reportScript []byte

// It is no template of package html, which would take the page's own scripts for text: what comes
// from a scenario stands in the report alone, and its JSON holds no "<".
var reportTemplate = template.Must(template.New("report").Parse(reportPage))

// WriteReport writes a report as a page in one file, which loads nothing from anywhere.
func WriteReport(w io.Writer, r *scenario.Report) error {
	report, err := json.Marshal(r)
	if err != nil {
		return err
	}
	imports, err := json.Marshal(map[string]any{"imports": modules()})
	if err != nil {
		return err
	}
	var style bytes.Buffer
	for _, name := range []string{"page.css", "form.css", "charts.css"} {
		style.Write(assets[name].content)
	}
	return reportTemplate.Execute(w, map[string]string{
		"Style": style.String(), "Theme": string(assets["theme.js"].content), "Imports": string(imports), "Report": string(report),
	})
}

// localImport is an import of another module of the page.
var localImport = regexp.MustCompile(`from "\./([a-z]+\.js)"`)

// modules are the modules of the page by the names under which a report imports them, each as an
// address that holds it whole.
func modules() map[string]string {
	all := map[string]string{}
	add := func(name string, content []byte) {
		content = localImport.ReplaceAll(content, []byte(`from "lab/$1"`))
		all["lab/"+name] = "data:text/javascript;base64," + base64.StdEncoding.EncodeToString(content)
	}
	for name, file := range assets {
		if path.Ext(name) == ".js" && name != "page.js" && name != "theme.js" {
			add(name, file.content)
		}
	}
	add("report.js", reportScript)
	return all
}
