// Layers shows what the retries of services that call each other come to, with and without
// what they can tell each other:
//
//	go run ./examples/layers
//
// A client calls service A, which calls B, which calls C, over real HTTP on loopback. The
// client, A and B make three attempts each. The table has a row for what their handlers know of
// each other, and the figures of C: how many calls reach it for one request of the client while
// it is down, and how many requests get through while half of its answers fail by chance.
//
// It takes a few seconds. The same seed makes the same table. docs/http.md says how to choose.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"text/tabwriter"
)

func main() {
	seed := flag.Uint64("seed", 1, "of the failures that happen by chance")
	requests := flag.Int("requests", 4000, "that the client makes for each row of the table, at least 1")
	flag.Parse()
	if *requests < 1 {
		fmt.Fprintf(os.Stderr, "layers: requests: %d is not allowed: want at least 1\n", *requests)
		os.Exit(2)
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	results, err := measureAll(ctx, *requests, *seed)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "layers:", err)
		os.Exit(1)
	}
	fmt.Fprintf(os.Stdout, "client -> A -> B -> C, with %d attempts each but C; %d requests a row, seed %d\n\n", attempts, *requests, *seed)
	if err := printTable(os.Stdout, results); err != nil {
		fmt.Fprintln(os.Stderr, "layers:", err)
		os.Exit(1)
	}
}

// printTable writes a line for each result.
func printTable(w io.Writer, results []result) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\tC is down:\thalf of C's answers fail:\t\t")
	fmt.Fprintln(t, "signals\tcalls of C\trequests that succeed\tcalls of C a request\t")
	for _, r := range results {
		fmt.Fprintf(t, "%s\t%d\t%.3f\t%.2f\t\n", r.signals, r.callsWhileDown, r.succeeded, r.meanCalls)
	}
	return t.Flush()
}
