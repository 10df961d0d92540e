// Quickstart shows what a retry policy and a retry budget do in an outage, in half a
// minute and without any set-up:
//
//	go run ./examples/quickstart
//
// It starts two HTTP dependencies on loopback that fail as real ones do, and calls
// both at the same steady rate through the same retry policy: one side shares a
// retry budget, the other has none. After a healthy time every answer fails for ten
// seconds. In the end it prints what the exported OpenTelemetry signals say of it:
// five figures, the load on the dependencies and one retried call as a trace.
//
// With OTEL_EXPORTER_OTLP_ENDPOINT set, as in
//
//	OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 go run ./examples/quickstart
//
// it also sends its traces and metrics there, over OTLP/HTTP.
//
// Ctrl-C ends it early with a report of what there is, a second Ctrl-C at once. The
// exit code is 1 if the metrics do not agree with what the dependencies counted, and 0
// otherwise. (go run itself exits with 1 after Ctrl-C, whatever it ran.)
//
// Where to read first: client.go is the code to take home. run.go puts the parts
// together.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // so that a second Ctrl-C kills

	if err := run(ctx, newScreen(os.Stdout), standardPlan); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}
