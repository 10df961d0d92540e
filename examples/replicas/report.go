package main

import (
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/observable-go/toolkit/resilience/budget"
)

// writeReport writes what came of the rounds: a column for each.
func writeReport(w io.Writer, o options, results []result) {
	writeChart(w, results)
	writeTable(w, o, results)
	writeReasons(w, o, results)
	writeModes(w, o, results)
	writeCheck(w, results)
}

func heading(w io.Writer, title string) {
	fmt.Fprintf(w, "\n%s\n%s\n", title, strings.Repeat("─", 98))
}

// writeRow writes a label and a cell for each result.
func writeRow(w io.Writer, label string, results []result, cell func(result) string) {
	fmt.Fprintf(w, "  %-40s", label)
	for _, r := range results {
		fmt.Fprintf(w, "%16s", cell(r))
	}
	fmt.Fprintln(w)
}

func writeTable(w io.Writer, o options, results []result) {
	heading(w, "The load on the callee, as it counted: a load of 2.0x is two requests for each call")
	row := func(label string, cell func(result) string) { writeRow(w, label, results, cell) }
	row("", func(r result) string { return r.kind.String() })
	row("calls", func(r result) string { return fmt.Sprint(r.log.total().calls) })
	row("requests", func(r result) string { return fmt.Sprint(r.log.total().requests()) })
	row("load before the outage", func(r result) string { return times(r.log.in(calm)) })
	row("load during the outage", func(r result) string { return times(r.log.in(outage)) })
	row("load after the outage", func(r result) string { return times(r.log.in(recovered)) })
	row("peak second", func(r result) string { return fmt.Sprintf("%d/s %s", r.log.peak().requests(), times(r.log.peak())) })
	row("retries during the outage", func(r result) string { return fmt.Sprint(r.log.in(outage).retries) })
	row("  most that the budgets allow", func(r result) string { return fmt.Sprintf("%.0f", math.Ceil(r.retriesAllowed(o))) })
}

// times formats a load in units of calls.
func times(l load) string {
	if l.calls == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2fx", l.relative())
}

// writeReasons says where the difference comes from.
func writeReasons(w io.Writer, o options, results []result) {
	each, one := results[0], results[1]
	sum := func(r result, budgets int) string {
		return fmt.Sprintf("%d x (%d + %.1f) + %g x %d = %.0f retries", budgets, budget.DefaultBurst, budget.DefaultFloor*r.outage.Seconds(),
			budget.DefaultRatio, r.log.in(outage).calls, allowed(r, float64(budgets)))
	}
	fmt.Fprintf(w, "\n  Why: a budget allows a burst of %d, its floor of %g a second and the ratio of %g a call.\n",
		budget.DefaultBurst, float64(budget.DefaultFloor), budget.DefaultRatio)
	fmt.Fprintf(w, "  local   each replica has a burst and a floor: %s\n", sum(each, o.replicas))
	fmt.Fprintf(w, "  shared  all have one burst and one floor: %s,\n", sum(one, 1))
	fmt.Fprintf(w, "          and %.0f at worst by calls and tokens that are on the way between replicas and Redis\n", one.onTheWay(o))
}

func writeCheck(w io.Writer, results []result) {
	heading(w, "Cross-check: what the replicas counted themselves")
	row := func(label string, cell func(result) string) { writeRow(w, label, results, cell) }
	row("calls", func(r result) string { return fmt.Sprint(r.account().Calls) })
	row("requests", func(r result) string { return fmt.Sprint(r.account().load().requests()) })
	row("calls that ended with an answer 503", func(r result) string { return fmt.Sprint(r.account().Unavailable) })
	row("calls that got no answer", func(r result) string { return fmt.Sprint(r.account().Unanswered) })
	row("calls that were due and not made", func(r result) string { return fmt.Sprint(r.account().Skipped) })
	row("each replica and the callee", func(r result) string {
		if r.agrees() {
			return "equal"
		}
		return "DIFFERENT"
	})
}
