package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// writeChart draws the load of each second.
func writeChart(w io.Writer, results []result) {
	heading(w, "Requests to the callee in each second, and how many that is for each call")
	var head strings.Builder
	fmt.Fprintf(&head, "  %-14s", "second")
	for _, r := range results {
		fmt.Fprintf(&head, "  %-26s", " "+r.kind.String())
	}
	fmt.Fprintln(w, strings.TrimRight(head.String(), " "))
	longest := slices.MaxFunc(results, func(a, b result) int { return len(a.log.seconds) - len(b.log.seconds) })
	for i, s := range longest.log.seconds {
		fmt.Fprintf(w, "  %-3d%-11s", i+1, s.phase())
		var bars strings.Builder
		for _, r := range results {
			l := r.log.second(i).load()
			fmt.Fprintf(&bars, "  %4d %-5s %-16s", l.requests(), times(l), bar(l))
		}
		fmt.Fprintln(w, strings.TrimRight(bars.String(), " "))
	}
}

// bar draws four characters for each request of a call, and 16 at most.
func bar(l load) string {
	if l.calls == 0 {
		return ""
	}
	return strings.Repeat("█", min(int(l.relative()*4+0.5), 16))
}
