// Package main is the lab: it shows what retries, budgets and breakers do to a callee that
// fails, before production does.
//
//	lab [-addr HOST:PORT] [-open=false]
//	                                 opens a page in the browser
//	lab list                         lists the scenarios of the gallery
//	lab show NAME                    prints one of them, to be changed
//	lab run FILE|NAME [-o FILE]      runs one, prints the figures, and writes a report
//
// A run exits with 1 if the scenario expects something that is not so, as for a test in CI.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := command(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errExpectation):
		os.Exit(1)
	default:
		fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(2)
	}
}

// command does what the arguments say.
func command(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	name := "serve"
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		name, args = args[0], args[1:]
	}
	switch name {
	case "serve":
		return serve(ctx, args, stdout, stderr)
	case "list":
		return list(args, stdout)
	case "show":
		return show(args, stdout)
	case "run":
		return run(ctx, args, stdout, stderr)
	}
	return fmt.Errorf("there is no command %q: want list, show, run, or none for the page", name)
}
