package main

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"
)

// A result is all that the report tells of one side.
type result struct {
	title   string
	figures figures
	check   check
	skipped int64
	rates   [ending]float64 // requests a second at the dependency; NaN: not reached
}

func resultOf(s *side, c *counts, end time.Time) result {
	r := result{title: s.title, figures: figuresOf(c), check: checkOf(s, c), skipped: s.traffic.skipped.Load()}
	for p := range r.rates {
		r.rates[p] = s.dependency.rate(phase(p), end)
	}
	return r
}

// writeReport writes the report of a run: a column for each result.
func writeReport(w io.Writer, results []result, kept *callTrace) {
	writeFigures(w, results)
	writeLoad(w, results)
	heading(w, "One retried call, from its exported spans")
	if kept == nil {
		fmt.Fprintln(w, "  there is none")
	} else {
		writeTree(w, kept)
	}
	writeChecks(w, results)
}

func heading(w io.Writer, title string) {
	fmt.Fprintf(w, "\n%s\n%s\n", title, strings.Repeat("─", 78))
}

// writeRow writes a label, a cell for each result and a remark.
func writeRow(w io.Writer, label string, results []result, cell func(result) string, remark string) {
	var row strings.Builder
	fmt.Fprintf(&row, "  %-34s", label)
	for _, r := range results {
		fmt.Fprintf(&row, "%12s", cell(r))
	}
	fmt.Fprintln(w, strings.TrimRight(row.String()+"   "+remark, " "))
}

func writeFigures(w io.Writer, results []result) {
	heading(w, "The five figures, from the exported metrics")
	row := func(label string, cell func(figures) string, remark string) {
		writeRow(w, label, results, func(r result) string { return cell(r.figures) }, remark)
	}
	writeRow(w, "", results, func(r result) string { return r.title }, "")
	row("calls", func(f figures) string { return count(f.calls) }, "")
	row("1  retry rate", func(f figures) string { return percent(f.retryRate) }, "of calls")
	row("2  success after retry", func(f figures) string { return percent(f.savedOfCalls) }, "of calls")
	row("", func(f figures) string { return percent(f.savedOfRetried) }, "of retried calls")
	row("3  exhausted retries", func(f figures) string { return count(f.exhausted) }, "calls")
	row("   stopped by the budget", func(f figures) string { return count(f.budgetExhausted) }, "calls")
	row("4  average retry count", func(f figures) string { return ratio("%.2f", f.retriesPerCall) }, "a call")
	row("5  total retry latency", func(f figures) string { return fmt.Sprintf("%.1f s", f.retryLatency.Seconds()) },
		"waits and retries")
}

// writeLoad draws the load of each phase relative to that of the healthy phase.
func writeLoad(w io.Writer, results []result) {
	heading(w, "The load on the dependency, in requests a second that reached it")
	for _, r := range results {
		label := r.title
		for p, rate := range r.rates {
			if math.IsNaN(rate) {
				continue
			}
			load := rate / r.rates[healthy]
			fmt.Fprintf(w, "  %-12s %-10s %6.0f/s %6s  %s\n", label, phase(p), rate, times(load), loadBar(load))
			label = ""
		}
	}
}

// loadBar draws ten characters for each time of the healthy load, and a limit to what
// has run out of all bounds.
func loadBar(load float64) string {
	if math.IsNaN(load) {
		return ""
	}
	return strings.Repeat("█", int(min(load, 4.4)*10+0.5))
}

func writeChecks(w io.Writer, results []result) {
	heading(w, "Cross-check of the metrics with what was counted apart from them")
	row := func(label string, cell func(check) int64) {
		writeRow(w, label, results, func(r result) string { return count(cell(r.check)) }, "")
	}
	writeRow(w, "", results, func(r result) string { return r.title }, "")
	row("attempts, by the metrics", func(c check) int64 { return c.attempts })
	row("requests, by the dependency", func(c check) int64 { return c.requests })
	row("attempts that sent no request", func(c check) int64 { return c.unsent })
	row("calls, by the metrics", func(c check) int64 { return c.calls })
	row("calls, by the workers", func(c check) int64 { return c.made })
	writeRow(w, "", results, func(r result) string {
		if r.check.ok() {
			return "equal"
		}
		return "DIFFERENT"
	}, "")
	for _, r := range results {
		if r.skipped > 0 {
			fmt.Fprintf(w, "  %s: %d more calls were due while no worker was free, and were not made\n", r.title, r.skipped)
		}
	}
}

func count(n int64) string { return fmt.Sprintf("%d", n) }

func percent(share float64) string { return ratio("%.1f %%", share*100) }

func times(load float64) string { return ratio("%.1fx", load) }

// ratio formats x, or - if it is the ratio of nothing to nothing.
func ratio(format string, x float64) string {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return "-"
	}
	return fmt.Sprintf(format, x)
}
