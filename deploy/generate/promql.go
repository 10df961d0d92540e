package main

import (
	"fmt"
	"strings"

	"github.com/observable-go/toolkit/resilience/telemetry"
)

// window is the span of the recording rules and of the alerts. It is part of their names.
const window = "5m"

// A matcher picks series by a label.
type matcher struct {
	attribute string // "" for a label of Prometheus
	label     string
	operator  string
	values    []string
}

// is picks series whose attribute has one of the values.
func is[A ~string](attribute A, values ...string) matcher {
	operator := "="
	if len(values) > 1 {
		operator = "=~"
	}
	return matcher{string(attribute), label(attribute), operator, values}
}

// not picks series whose attribute has none of the values.
func not[A ~string](attribute A, values ...string) matcher {
	m := is(attribute, values...)
	m.operator = strings.Replace(m.operator, "=", "!=", 1)
	if len(values) > 1 {
		m.operator = "!~"
	}
	return m
}

// chosen picks series by a variable of a dashboard, which may stand for several values.
func chosen(label, variable string) matcher {
	return matcher{"", label, "=~", []string{"$" + variable}}
}

// exactly picks series by a variable of a dashboard that has one value. Grafana escapes what is special in
// regular expressions for variables of several values only.
func exactly(label, variable string) matcher {
	return matcher{"", label, "=", []string{"$" + variable}}
}

func (m matcher) String() string {
	return fmt.Sprintf(`%s%s"%s"`, m.label, m.operator, strings.Join(m.values, "|"))
}

// braces returns the matchers as they stand behind a name.
func braces(matchers []matcher) string {
	if len(matchers) == 0 {
		return ""
	}
	texts := make([]string, len(matchers))
	for i, m := range matchers {
		texts[i] = m.String()
	}
	return "{" + strings.Join(texts, ",") + "}"
}

// series selects the series of a counter or of a level.
func (r *registry) series(name string, matchers ...matcher) string {
	if r.metric(name).instrument == "histogram" {
		panic(name + " is a histogram: say which of its series")
	}
	return r.selected(name, "", matchers)
}

// buckets selects the buckets of a histogram.
func (r *registry) buckets(name string, matchers ...matcher) string {
	return r.histogram(name, "_bucket", matchers)
}

// count selects the numbers of values of a histogram.
func (r *registry) count(name string, matchers ...matcher) string {
	return r.histogram(name, "_count", matchers)
}

// sum selects the sums of values of a histogram.
func (r *registry) sum(name string, matchers ...matcher) string {
	return r.histogram(name, "_sum", matchers)
}

func (r *registry) histogram(name, suffix string, matchers []matcher) string {
	if kind := r.metric(name).instrument; kind != "histogram" {
		panic(fmt.Sprintf("%s is a %s, no histogram", name, kind))
	}
	return r.selected(name, suffix, matchers)
}

func (r *registry) selected(name, suffix string, matchers []matcher) string {
	for _, m := range matchers {
		for _, value := range m.values {
			if m.attribute != "" && value != "" {
				r.check(m.attribute, value)
			}
		}
	}
	return promName(r.metric(name)) + suffix + braces(matchers)
}

// recorded selects what a recording rule has written.
func recorded(record string, matchers ...matcher) string { return record + braces(matchers) }

func rate(selector string) string { return rateOver(selector, window) }

func rateOver(selector, span string) string { return fmt.Sprintf("rate(%s[%s])", selector, span) }

// lastOver is the newest value within a span.
func lastOver(selector, span string) string {
	return fmt.Sprintf("last_over_time(%s[%s])", selector, span)
}

func increase(selector, span string) string { return fmt.Sprintf("increase(%s[%s])", selector, span) }

// Labels by which rules and panels tell series apart.
var (
	byPolicy      = []string{"job", label(telemetry.AttrPolicyName)}
	byComposition = []string{"job", label(telemetry.AttrPolicyName), label(telemetry.AttrCompositionReason)}
	byBudget      = []string{"job", label(telemetry.AttrBudgetName)}
	byBudgetMode  = []string{"job", label(telemetry.AttrBudgetName), label(telemetry.AttrSharedBudgetMode)}
)

func sumBy(labels []string, expr string) string { return aggregate("sum", labels, expr) }

func maxBy(labels []string, expr string) string { return aggregate("max", labels, expr) }

func minBy(labels []string, expr string) string { return aggregate("min", labels, expr) }

func sumWithout(labels []string, expr string) string {
	return fmt.Sprintf("sum without (%s) (%s)", strings.Join(labels, ", "), expr)
}

func aggregate(operator string, labels []string, expr string) string {
	if len(labels) == 0 {
		return fmt.Sprintf("%s(%s)", operator, expr)
	}
	return fmt.Sprintf("%s by (%s) (%s)", operator, strings.Join(labels, ", "), expr)
}

// quantile estimates a quantile from the rates of buckets, for each of the labels.
func quantile(q float64, labels []string, bucketRates string) string {
	return fmt.Sprintf("histogram_quantile(%g, %s)", q, sumBy(append([]string{"le"}, labels...), bucketRates))
}

func ratio(part, whole string) string { return part + "\n  / " + whole }

// above says when an alert fires.
func above(expr string, threshold float64) string { return fmt.Sprintf("%s > %g", expr, threshold) }

// and keeps those series of the first expression whose labels the second one has too.
func and(expr, condition string) string { return expr + "\n  and " + condition }

// orZero is 0 where the sum has no series yet, as those of failures appear with the first one.
func orZero(total string) string { return "(" + total + " or vector(0))" }
