package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/lab/gallery"
	"github.com/observable-go/toolkit/lab/scenario"
)

const small = `
name: small
title: A few calls
duration: 10s
seeds: 2
callers: {open: {rate: 50}}
callee: {servers: 3, service: {mean: 10ms}}
faults: [{from: 2s, to: 3s, down: true}]
policies:
  - name: a
    retry: {initial_delay: 10ms}
`

func lab(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	err = command(context.Background(), args, &out, &errs)
	return out.String(), errs.String(), err
}

func file(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "small.yaml")
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}

func TestRun(t *testing.T) {
	t.Parallel()
	name := file(t, small)
	out := filepath.Join(t.TempDir(), "report")
	stdout, stderr, err := lab(t, "run", name, "-q", "-o", out+".json")
	require.NoError(t, err)
	assert.Empty(t, stderr)
	assert.Contains(t, stdout, "small: A few calls\n2 seeds of 10s each")
	text, err := os.ReadFile(out + ".json")
	require.NoError(t, err)
	var report scenario.Report
	require.NoError(t, json.Unmarshal(text, &report))
	assert.Equal(t, "a", report.Policies[0].Name)
	assert.Len(t, report.Policies[0].Series["requests"].Mid, scenario.Points)

	again, _, err := lab(t, "run", "-q", "-o", out+".csv", name)
	require.NoError(t, err)
	assert.Equal(t, stdout, again, "the same seeds")
	text, err = os.ReadFile(out + ".csv")
	require.NoError(t, err)
	lines, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	require.NoError(t, err)
	assert.Len(t, lines, 1+scenario.Points)
	assert.Equal(t, []string{"policy", "seconds"}, lines[0][:2])

	_, _, err = lab(t, "run", "-q", "-o", out+".html", name)
	require.NoError(t, err)
	text, err = os.ReadFile(out + ".html")
	require.NoError(t, err)
	assert.Contains(t, string(text), "<!doctype html>")

	other, _, err := lab(t, "run", "-q", "-seeds", "1", name)
	require.NoError(t, err)
	assert.Contains(t, other, "1 seeds")
}

// The page is served until somebody ends it.
func TestServe(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- command(ctx, []string{"-open=false"}, in, in) }()
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	page := regexp.MustCompile(`http://127\.0\.0\.1:\d+/`).FindString(line)
	require.NotEmpty(t, page, line)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, page+"gallery.json", http.NoBody)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	var entries []gallery.Entry
	require.NoError(t, json.NewDecoder(response.Body).Decode(&entries))
	assert.Equal(t, gallery.All(), entries)
	cancel()
	require.NoError(t, <-ended)
}

// A scenario that expects something is a test.
func TestExpectation(t *testing.T) {
	t.Parallel()
	stdout, _, err := lab(t, "run", "-q", file(t, small+"expect: {max_amplification: 1, max_recovery: 1m, min_success: 0.2}\n"))
	require.ErrorIs(t, err, errExpectation)
	assert.Contains(t, stdout, "EXPECTED OTHERWISE: a: amplification is ")
	assert.NotContains(t, stdout, "success is")
	_, _, err = lab(t, "run", "-q", file(t, small+"expect: {max_amplification: 4}\n"))
	require.NoError(t, err)
}

func TestGallery(t *testing.T) {
	t.Parallel()
	stdout, _, err := lab(t, "list")
	require.NoError(t, err)
	for _, e := range gallery.All() {
		assert.Contains(t, stdout, e.Name)
		text, _, err := lab(t, "show", e.Name)
		require.NoError(t, err)
		assert.Equal(t, e.Text, text)
	}
}

func TestWrongUse(t *testing.T) {
	t.Parallel()
	name := file(t, small)
	for want, args := range map[string][]string{
		`there is no command "rum"`:                          {"rum"},
		`list: unexpected argument "x"`:                      {"list", "x"},
		"show: want the name":                                {"show"},
		`there is no scenario "nowhere": want a file, or`:    {"show", "nowhere"},
		"run: want one scenario":                             {"run"},
		"run: want one scenario: a file":                     {"run", name, name},
		`-addr: "0.0.0.0:0" is not allowed: want a loopback`: {"-addr", "0.0.0.0:0"},
		`-addr: "here" is not allowed`:                       {"serve", "-addr", "here"},
		`unexpected argument "x"`:                            {"serve", "x"},
		`-o: "report.pdf" is not allowed`:                    {"run", name, "-o", "report.pdf"},
		"no such file":                                       {"run", "./nowhere.yaml"},
		"-seeds: seeds: 5000 is not allowed":                 {"run", "-seeds", "5000", name},
		"flag provided but not defined":                      {"run", "-x", name},
	} {
		_, _, err := lab(t, args...)
		assert.ErrorContains(t, err, want)
	}
}

func TestCanceled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := command(ctx, []string{"run", "-q", file(t, small)}, os.Stdout, os.Stderr)
	require.ErrorIs(t, err, context.Canceled)
}
