package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/observable-go/toolkit/lab/scenario"
	"github.com/observable-go/toolkit/lab/web"
)

// writerOf returns what writes a report to a file of that name.
func writerOf(name string) (func(io.Writer, *scenario.Report) error, error) {
	switch filepath.Ext(name) {
	case ".html":
		return web.WriteReport, nil
	case ".json":
		return writeJSON, nil
	case ".csv":
		return writeCSV, nil
	}
	return nil, fmt.Errorf("-o: %q is not allowed: want a name that ends in .html, .json or .csv", name)
}

func writeFile(name string, r *scenario.Report, write func(io.Writer, *scenario.Report) error) (err error) {
	f, err := os.Create(filepath.Clean(name))
	if err != nil {
		return err
	}
	defer func() {
		if closed := f.Close(); err == nil {
			err = closed
		}
	}()
	return write(f, r)
}

func writeJSON(w io.Writer, r *scenario.Report) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(r)
}

// writeCSV writes a line for each policy and interval.
func writeCSV(w io.Writer, r *scenario.Report) error {
	c := csv.NewWriter(w)
	if len(r.Policies) == 0 {
		return nil
	}
	names := slices.Sorted(maps.Keys(r.Policies[0].Series))
	header := []string{"policy", "seconds"}
	for _, name := range names {
		header = append(header, name+"_low", name+"_mid", name+"_high")
	}
	if err := c.Write(header); err != nil {
		return err
	}
	number := func(x float64) string { return strconv.FormatFloat(x, 'g', 6, 64) }
	for _, p := range r.Policies {
		for i := range scenario.Points {
			line := []string{p.Name, number(float64(i) * r.Interval)}
			for _, name := range names {
				b := p.Series[name]
				line = append(line, number(b.Low[i]), number(b.Mid[i]), number(b.High[i]))
			}
			if err := c.Write(line); err != nil {
				return err
			}
		}
	}
	c.Flush()
	return c.Error()
}
