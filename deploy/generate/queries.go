package main

import (
	"encoding/json"
	"flag"
	"io"
	"maps"
	"slices"
	"strings"
)

// A query is one expression with where it stands.
type query struct {
	Source string `json:"source"` // dashboard/<file>, rules or alerts
	Title  string `json:"title"`
	Expr   string `json:"expr"`
}

// variableFlags defines a flag for each variable of the dashboards. What it returns gives, after the
// flags were parsed, the value of each variable as it stands in queries.
func variableFlags(flags *flag.FlagSet) func() map[string]string {
	const all = ".+"
	job := flags.String("job", all, "with -queries: the jobs, as a regular expression")
	policy := flags.String("policy", all, "with -queries: the policies, as a regular expression")
	guard := flags.String("guard", all, "with -queries: the guards, as a regular expression")
	budget := flags.String("budget", all, "with -queries: the budgets, as a regular expression")
	span := flags.String("rate-interval", "1m", "with -queries: the span of rates, Grafana's $__rate_interval")
	return func() map[string]string {
		values := map[string]string{"$__rate_interval": *span}
		for name, value := range map[string]string{"$job": *job, "$policy": *policy, "$guard": *guard, "$budget": *budget} {
			values[name] = value
			values[`="`+name+`"`] = `=~"` + value + `"` // also where the dashboard takes one value only
		}
		return values
	}
}

// queries returns every query, with the variables of the dashboards replaced.
func queries(r *registry, values map[string]string) []query {
	var all []query
	for _, g := range ruleGroups(r) {
		for _, rule := range g.rules {
			title := rule.record
			if rule.guard != "" {
				title += "{" + guardLabel + `="` + rule.guard + `"}`
			}
			all = append(all, query{"rules", title, rule.expr})
		}
	}
	for _, a := range alerts(r) {
		all = append(all, query{"alerts", a.name, a.expr})
	}
	pairs := make([]string, 0, 2*len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		pairs = append(pairs, name, values[name])
	}
	replacer := strings.NewReplacer(pairs...)
	for _, d := range dashboards(r) {
		for _, p := range d.Panels {
			for _, t := range p.Targets {
				all = append(all, query{"dashboard/" + d.file, p.Title, replacer.Replace(t.Expr)})
			}
		}
	}
	return all
}

func printQueries(w io.Writer, r *registry, values map[string]string) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(queries(r, values))
}
