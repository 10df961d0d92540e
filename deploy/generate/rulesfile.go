package main

import (
	"bytes"

	"gopkg.in/yaml.v3"
)

// generated heads every file that this program writes and that can have a comment.
const generated = "Written by `go run ./deploy/generate`: change the tables there, not this file."

// The file of rules as Prometheus reads it.
type rulesFile struct {
	Groups []groupYAML `yaml:"groups"`
}

type groupYAML struct {
	Name  string      `yaml:"name"`
	Rules []yaml.Node `yaml:"rules"`
}

type ruleYAML struct {
	Record      string            `yaml:"record,omitempty"`
	Alert       string            `yaml:"alert,omitempty"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for,omitempty"`
	Labels      map[string]string `yaml:"labels,omitempty"`
	Annotations map[string]string `yaml:"annotations,omitempty"`
}

// node returns the rule with a comment above it.
func (y ruleYAML) node(comment string) (yaml.Node, error) {
	var n yaml.Node
	err := n.Encode(y)
	n.HeadComment = comment
	return n, err
}

// recordingFile returns the file of the recording rules.
func recordingFile(groups []ruleGroup) ([]byte, error) {
	var file rulesFile
	for _, g := range groups {
		group := groupYAML{Name: g.name}
		for _, rule := range g.rules {
			y := ruleYAML{Record: rule.record, Expr: rule.expr}
			if rule.guard != "" {
				y.Labels = map[string]string{guardLabel: rule.guard}
			}
			n, err := y.node(rule.what)
			if err != nil {
				return nil, err
			}
			group.Rules = append(group.Rules, n)
		}
		file.Groups = append(file.Groups, group)
	}
	return encode(file)
}

// alertFile returns the file of the alerts.
func alertFile(all []alert) ([]byte, error) {
	group := groupYAML{Name: "resilience-alerts"}
	for _, a := range all {
		n, err := ruleYAML{
			Alert: a.name, Expr: a.expr, For: a.wait,
			Labels: map[string]string{"severity": a.severity},
			Annotations: map[string]string{
				"summary": a.summary, "description": a.detail, "runbook_url": runbooks + a.name + ".md",
			},
		}.node("")
		if err != nil {
			return nil, err
		}
		group.Rules = append(group.Rules, n)
	}
	return encode(rulesFile{Groups: []groupYAML{group}})
}

func encode(file rulesFile) ([]byte, error) {
	var text bytes.Buffer
	text.WriteString("# " + generated + "\n")
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	if err := encoder.Encode(file); err != nil {
		return nil, err
	}
	return text.Bytes(), encoder.Close()
}
