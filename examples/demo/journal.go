package main

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// An entry is what a service writes down of a request that it got, when it knows what comes of
// it. A request that was sent four times has four entries.
type entry struct {
	Time    time.Time `json:"time"`
	Service string    `json:"service"`
	Path    string    `json:"path,omitempty"`   // of HTTP
	Method  string    `json:"method,omitempty"` // of gRPC
	Result  result    `json:"result"`
	Attempt int       `json:"attempt"` // how often the caller had sent the request before
	Order   string    `json:"order"`
	TraceID string    `json:"trace_id,omitempty"`

	// Of an order that failed: who is to blame, and for what.
	Callee    string `json:"callee,omitempty"`
	ErrorType string `json:"error_type,omitempty"`
}

// A journal is what the services have written down. It is counted apart from all telemetry, so
// that the one can be compared with the other.
type journal struct {
	mu     sync.Mutex
	out    io.Writer // of a line for each entry, or nil
	err    error     // the first of writing
	totals map[string]*total
	failed []entry // the latest orders that failed, the newest last
}

// total is what one service has written down.
type total struct {
	Results  map[result]int64 `json:"results"`
	Requests int64            `json:"requests"`
	Repeated int64            `json:"repeated"` // not the first attempt
}

func newJournal() *journal {
	j := &journal{totals: make(map[string]*total)}
	for _, name := range serviceNames {
		j.totals[name] = &total{Results: make(map[result]int64)}
		for _, r := range allResults {
			j.totals[name].Results[r] = 0
		}
	}
	return j
}

// keepFailed is how many orders that failed are kept.
const keepFailed = 6

// add writes an entry down. The context is that of the request.
func (j *journal) add(ctx context.Context, e entry) {
	if span := trace.SpanContextFromContext(ctx); span.HasTraceID() {
		e.TraceID = span.TraceID().String()
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	e.Time = time.Now() // in here, so that the lines are in order
	t := j.totals[e.Service]
	t.Requests++
	t.Results[e.Result]++
	if e.Attempt > 0 {
		t.Repeated++
	}
	if e.Callee != "" {
		j.failed = append(j.failed, e)
		j.failed = j.failed[max(0, len(j.failed)-keepFailed):]
	}
	if j.out != nil && j.err == nil {
		j.err = json.NewEncoder(j.out).Encode(e)
	}
}

// total returns a copy of what a service has written down.
func (j *journal) total(service string) total {
	j.mu.Lock()
	defer j.mu.Unlock()
	t := *j.totals[service]
	t.Results = maps.Clone(t.Results)
	return t
}

// latestFailed returns the latest orders that failed, the newest first.
func (j *journal) latestFailed() []entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	latest := slices.Clone(j.failed)
	slices.Reverse(latest)
	return latest
}

// writeError returns the first error of writing lines.
func (j *journal) writeError() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.err
}

// previousAttempts returns how often a request was sent before, by its header.
func previousAttempts(h http.Header) int {
	return previousIn(h.Values("Previous-Attempts"))
}

func previousIn(values []string) int {
	if len(values) == 0 {
		return 0
	}
	n, err := strconv.Atoi(values[0])
	if err != nil {
		return 0
	}
	return n
}
