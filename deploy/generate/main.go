// Package main is the command generate: it writes what Prometheus and Grafana need to show the signals of the toolkit, recording rules,
// alerts and dashboards, made from docs/semconv/resilience.yaml and the tables of this package.
//
//	go run ./deploy/generate            # writes the files below deploy
//	go run ./deploy/generate -check     # fails if they are not as it would write them
//	go run ./deploy/generate -queries   # prints every query as JSON
//
// It runs in the root of the repository, or anywhere with -root.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "generate:", err)
		}
		os.Exit(1)
	}
}

// run does what the arguments say.
func run(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("generate", flag.ContinueOnError)
	flags.SetOutput(stderr)
	root := flags.String("root", ".", "folder of the repository")
	check := flags.Bool("check", false, "write nothing, and fail if a file is not as it would be written")
	list := flags.Bool("queries", false, "write nothing, and print the queries of dashboards, rules and alerts as JSON")
	values := variableFlags(flags)
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q: there are only flags, see -help", flags.Arg(0))
	}
	if *check && *list {
		return errors.New("-check and -queries exclude each other")
	}
	r, err := readRegistry(filepath.Join(*root, "docs", "semconv", "resilience.yaml"))
	if err != nil {
		return fmt.Errorf("-root %s: %w", *root, err)
	}
	if *list {
		return printQueries(stdout, r, values())
	}
	files, err := files(r)
	if err != nil {
		return err
	}
	if *check {
		return compare(*root, files)
	}
	return write(*root, files)
}

// files returns what is written, by the path in the repository.
func files(r *registry) (map[string][]byte, error) {
	recording, err := recordingFile(ruleGroups(r))
	if err != nil {
		return nil, err
	}
	alerting, err := alertFile(alerts(r))
	if err != nil {
		return nil, err
	}
	all := map[string][]byte{
		"deploy/prometheus/rules.yaml":  recording,
		"deploy/prometheus/alerts.yaml": alerting,
	}
	for _, d := range dashboards(r) {
		if all["deploy/grafana/dashboards/"+d.file+".json"], err = d.json(); err != nil {
			return nil, fmt.Errorf("dashboard %s: %w", d.file, err)
		}
	}
	return all, nil
}

func write(root string, files map[string][]byte) error {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // folders of a repository are for everybody to read
			return err
		}
		if err := os.WriteFile(path, files[name], 0o644); err != nil { //nolint:gosec // as above
			return err
		}
	}
	return nil
}

// compare returns an error that names each file that is not as it would be written.
func compare(root string, files map[string][]byte) error {
	var wrong []error
	for _, name := range slices.Sorted(maps.Keys(files)) {
		there, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name))) //nolint:gosec // a file of the repository
		switch {
		case err != nil:
			wrong = append(wrong, err)
		case !bytes.Equal(there, files[name]):
			wrong = append(wrong, fmt.Errorf("%s is not as it would be written: run go run ./deploy/generate", name))
		}
	}
	return errors.Join(wrong...)
}
