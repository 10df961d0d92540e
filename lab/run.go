package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/observable-go/toolkit/lab/gallery"
	"github.com/observable-go/toolkit/lab/scenario"
)

// errExpectation is that a scenario expects something that is not so.
var errExpectation = errors.New("an expectation is not met")

func list(args []string, stdout io.Writer) error {
	if len(args) > 0 {
		return fmt.Errorf("list: unexpected argument %q", args[0])
	}
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	for _, e := range gallery.All() {
		fmt.Fprintf(w, "%s\t%s\n", e.Name, e.Title)
	}
	return w.Flush()
}

func show(args []string, stdout io.Writer) error {
	if len(args) != 1 {
		return errors.New("show: want the name of a scenario: see lab list")
	}
	text, err := gallery.Text(args[0])
	if err != nil {
		return err
	}
	_, err = stdout.Write(text)
	return err
}

// A plan is what a run is asked for.
type plan struct {
	scenario *scenario.Scenario
	output   string
	write    func(io.Writer, *scenario.Report) error // to the output
	quiet    bool
}

// run runs a scenario, which is a file or one of the gallery.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	p, err := planOf(args, stderr)
	if err != nil {
		return err
	}
	var progress func(float64)
	if !p.quiet {
		bar := newBar(stderr)
		defer bar.end()
		progress = bar.show
	}
	report, err := p.scenario.Compare(ctx, progress)
	if err != nil {
		return err
	}
	if err := printFigures(stdout, report); err != nil {
		return err
	}
	if p.output != "" {
		if err := writeFile(p.output, report, p.write); err != nil {
			return err
		}
	}
	if len(report.Broken) > 0 {
		return errExpectation
	}
	return nil
}

// planOf reads the arguments of a run, and its scenario.
func planOf(args []string, stderr io.Writer) (*plan, error) {
	p := &plan{}
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&p.output, "o", "", "write the report to this file, whose name ends in .html, .json or .csv")
	flags.BoolVar(&p.quiet, "q", false, "show no progress")
	seeds := flags.Int("seeds", 0, "how many seeds, in place of those of the scenario")
	var names []string
	for len(args) > 0 { // flags may follow the name
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		if args = flags.Args(); len(args) > 0 {
			names, args = append(names, args[0]), args[1:]
		}
	}
	if len(names) != 1 {
		return nil, errors.New("run: want one scenario: a file, or a name of lab list")
	}
	var err error
	if p.output != "" {
		if p.write, err = writerOf(p.output); err != nil {
			return nil, err
		}
	}
	if p.scenario, err = load(names[0]); err != nil {
		return nil, err
	}
	if *seeds != 0 {
		p.scenario.Seeds = *seeds
		if err := p.scenario.Validate(); err != nil {
			return nil, fmt.Errorf("-seeds: %w", err)
		}
	}
	return p, nil
}

// load reads a scenario from a file, or from the gallery.
func load(name string) (*scenario.Scenario, error) {
	text, err := os.ReadFile(filepath.Clean(name))
	if errors.Is(err, os.ErrNotExist) && !strings.ContainsAny(name, `./\`) {
		text, err = gallery.Text(name)
	}
	if err != nil {
		return nil, err
	}
	s, err := scenario.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

// printFigures prints a table with a line for each policy.
func printFigures(stdout io.Writer, r *scenario.Report) error {
	fmt.Fprintf(stdout, "%s: %s\n%d seeds of %v each; medians\n\n", r.Name, r.Title, r.Seeds, r.Scenario.Duration)
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "POLICY\tREQUESTS/CALL\tWORST\tSUCCESS\tRECOVERY\tRECOVERED\tCOMPLETION")
	for _, p := range r.Policies {
		f := p.Figures
		recovery := "never"
		if took := f["recovery_seconds"].Mid; took < 1e8 {
			recovery = (time.Duration(took * float64(time.Second))).Round(100 * time.Millisecond).String()
		}
		if len(r.Faults) == 0 {
			recovery = "-"
		}
		fmt.Fprintf(w, "%s\t%.3f\t%.2f\t%.1f %%\t%s\t%d of %d\t%.1f s\n", p.Name, f["amplification"].Mid, f["peak_amplification"].Mid,
			100*f["success"].Mid, recovery, p.Recovered, r.Seeds, f["completion_seconds"].Mid)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, b := range r.Broken {
		fmt.Fprintln(stdout, "\nEXPECTED OTHERWISE:", b)
	}
	return nil
}

// A bar shows how much is done and how long it will take.
type bar struct {
	mu    sync.Mutex
	w     io.Writer
	began time.Time
	shown time.Time
}

func newBar(w io.Writer) *bar { return &bar{w: w, began: time.Now()} }

func (b *bar) show(share float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if now.Sub(b.began) < time.Second || now.Sub(b.shown) < 200*time.Millisecond {
		return
	}
	b.shown = now
	left := time.Duration(float64(now.Sub(b.began)) * (1 - share) / max(share, 1e-3)).Round(time.Second)
	done := int(share * 40)
	fmt.Fprintf(b.w, "\r[%s%s] %3.0f %%, %v left   ", strings.Repeat("#", done), strings.Repeat(".", 40-done), 100*share, left)
}

func (b *bar) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.shown.IsZero() {
		fmt.Fprint(b.w, "\r"+strings.Repeat(" ", 70)+"\r")
	}
}
