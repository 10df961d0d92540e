package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// run carries out a plan and writes progress and report to out. When ctx ends it
// stops early and reports what there is. The error is errDisagree if the metrics do
// not agree with what was counted apart from them.
func run(ctx context.Context, out screen, p plan) error {
	sdk, err := startSignals(ctx)
	if err != nil {
		return err
	}
	t := timeline{p, time.Now()}
	sides, err := startSides(t)
	if err != nil {
		return errors.Join(err, sdk.shutdown(p.flush))
	}
	fmt.Fprintf(out, introduction, time.Second/p.interval, p.workers, p.lasts[outage].Seconds())

	done := make(chan struct{})
	var showing sync.WaitGroup
	showing.Go(func() { (&progress{screen: out, timeline: t, signals: sdk, sides: sides}).show(done) })
	drive(ctx, t, sides)
	end := time.Now()
	close(done)
	showing.Wait()

	if ctx.Err() != nil {
		fmt.Fprintf(out, "\nInterrupted after %.1f of %.0f s.\n", end.Sub(t.began).Seconds(), t.total().Seconds())
	}
	err = report(out, end, sdk, sides)
	for _, s := range sides {
		err = errors.Join(err, s.close())
	}
	export(out, sdk, p.flush)
	return err
}

const introduction = `Two dependencies on loopback get the same %d calls a second, from %d goroutines
each, through the same retry policy: with a retry budget and without one. About
5 in 100 answers fail, and all of them during an outage of %v s. Ctrl-C ends it.

`

// report writes the report of a run that ended at end.
func report(out screen, end time.Time, sdk *signals, sides []*side) error {
	metrics, err := sdk.metrics()
	if err != nil {
		return err
	}
	var results []result
	for _, s := range sides {
		r := resultOf(s, countsOf(metrics, s.policy), end)
		if !r.check.ok() {
			err = errDisagree
		}
		results = append(results, r)
	}
	writeReport(out, results, sdk.traces.kept())
	return err
}

// export ends the SDK and says what became of the export over OTLP, if there is one.
// A failure does not make the run fail.
func export(out screen, sdk *signals, within time.Duration) {
	err := sdk.shutdown(within)
	switch {
	case sdk.endpoint == "":
		return
	case err != nil:
		fmt.Fprintf(out, "\nThe export to %s failed:\n  %v\n", sdk.endpoint, err)
	default:
		fmt.Fprintf(out, "\nTraces and metrics were exported to %s.\n", sdk.endpoint)
	}
}
