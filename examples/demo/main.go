// Demo is a small shop that can be broken in the browser, to see what retries, a retry budget and
// a circuit breaker make of it:
//
//	go run ./examples/demo
//
// It needs nothing else. It prints the address of its page and of the debug page of each of its
// three services, and runs until Ctrl-C:
//
//   - storefront takes orders by HTTP. For each it asks the two others, and serves the page.
//   - inventory reserves goods, by HTTP.
//   - payments charges for them, by gRPC.
//
// They run in one process, but each has its own listener and its own OpenTelemetry providers, and
// they talk over loopback as they would over a network. Shoppers in the same process place 50
// orders a second.
//
// With -otlp it sends its traces and metrics to a collector. With -log it writes a line for every
// request that a service got, which is counted apart from all telemetry.
//
// Where to read first: policies.go, inventory.go and payments.go are the code to take home.
// docs/demo.md says what to watch.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	o, err := parse(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // so that a second Ctrl-C kills
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}
