package main

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// writeModes tells what became of the budgets when redis-server was killed.
func writeModes(w io.Writer, o options, results []result) {
	for _, r := range results {
		if len(r.changes) == 0 && r.killed.IsZero() {
			continue
		}
		heading(w, fmt.Sprintf("Modes of the replicas' budgets in the round %q", r.kind))
		at := func(t time.Time) float64 { return t.Sub(r.began).Seconds() }
		if !r.killed.IsZero() {
			fmt.Fprintf(w, "  %5.1f s            redis-server is killed\n", at(r.killed))
		}
		for _, g := range groupsOf(r.changes) {
			fmt.Fprintf(w, "  %5.1f s to %4.1f s  %s: %s -> %s\n", at(g.first), at(g.last), plural(g.replicas, "replica"), g.from, g.to)
		}
		if !r.killed.IsZero() {
			fmt.Fprintf(w, "\n  Without Redis a replica spends the tokens that it holds, which expire after %v.\n  %s\n"+
				"  First attempts need no Redis: %d of %d calls got no answer from the callee.\n",
				lease, afterLease(o), r.account().Unanswered, r.account().Calls)
		}
	}
}

// afterLease says who decides without Redis.
func afterLease(o options) string {
	if o.local {
		return "Then a budget of its own decides, of its share of burst and floor. It is full: a second burst of all."
	}
	return "Then no retry is granted."
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// A group is the changes from one mode to another.
type group struct {
	from, to    string
	first, last time.Time
	replicas    int
}

// groupsOf returns the changes as few groups, in order of time.
func groupsOf(changes []change) []group {
	changes = slices.SortedFunc(slices.Values(changes), func(a, b change) int { return a.At.Compare(b.At) })
	var groups []group
	for _, c := range changes {
		i := slices.IndexFunc(groups, func(g group) bool { return g.from == c.From && g.to == c.To })
		if i < 0 {
			groups = append(groups, group{from: c.From, to: c.To, first: c.At})
			i = len(groups) - 1
		}
		groups[i].last = c.At
		groups[i].replicas++
	}
	return groups
}
