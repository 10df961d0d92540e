package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// errDisagree is the result of a run whose numbers do not agree.
var errDisagree = errors.New("the replicas do not agree with what the callee counted")

// errBusy is the result of a run whose calls were not all answered.
var errBusy = errors.New("some calls got no answer: if this machine is too busy, choose fewer -replicas or a smaller -rate")

// run makes all rounds, and writes what came of them to out.
func run(ctx context.Context, o options, out io.Writer) error {
	results, err := measure(ctx, o, out, os.Stderr)
	if ctx.Err() != nil {
		fmt.Fprintln(out)
		return errInterrupted
	}
	if err != nil {
		return err
	}
	writeReport(out, o, results)
	return check(results)
}

// check returns an error if the figures are not worth much.
func check(results []result) error {
	for _, r := range results {
		switch {
		case r.account().Unanswered > 0: // a request may have left or not
			return errBusy
		case !r.agrees():
			return errDisagree
		}
	}
	return nil
}

// measure makes all rounds. Nothing that it started is left when it returns.
func measure(ctx context.Context, o options, out, errs io.Writer) ([]result, error) {
	c, err := openCourse(ctx, o, out, errs)
	if err != nil {
		return nil, err
	}
	defer c.close()
	rounds := o.rounds()
	fmt.Fprintf(out, introduction, o.lasts().Seconds()+1, o.replicas, o.rate, c.redis)
	var results []result
	for i, k := range rounds {
		fmt.Fprintf(out, "Round %d of %d: %s\n", i+1, len(rounds), k.title())
		r, err := c.round(ctx, k)
		if err != nil {
			return nil, err
		}
		results = append(results, r)
	}
	return results, nil
}

const introduction = `This takes about %.0f s; Ctrl-C ends it. The callee gets calls from %d replicas, %d a second from each,
with 3 retries at most. During an outage it fails all requests. The Redis is at %s.

`
