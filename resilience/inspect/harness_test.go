package inspect_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/observable-go/toolkit/resilience/inspect"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// A document is what state.json holds, as somebody else would read it.
type document struct {
	Title, Instance, Cursor string
	Now, Since              time.Time
	IntervalSeconds         float64 `json:"interval_seconds"`
	TraceURL                string  `json:"trace_url"`
	Full                    bool
	Policies                []policy
	Budgets                 []struct {
		Name                      string
		Tokens, Capacity          *float64
		Granted, Denied, Refunded int64
		History                   struct{ Tokens, Granted, Denied []*float64 }
	}
	Guards []struct {
		Kind, Name, State string
		Results, Events   map[string]int64
		Levels            map[string]*float64
		History           struct {
			Calls, Rejected, Level []*float64
			State                  []string
		}
	}
	Warnings []struct {
		Policy, Reason string
		Count          int64
	}
}

type policy struct {
	Name                       string
	Calls, Errors              map[string]int64
	Attempts, Retries, Retried int64
	RetryLatencySeconds        float64 `json:"retry_latency_seconds"`
	History                    map[string][]*float64
	Troubled                   []call
	Dropped                    int64
}

type call struct {
	ID                      uint64
	Outcome, Reason, Budget string
	Nested                  bool
	Began                   time.Time
	DurationSeconds         float64 `json:"duration_seconds"`
	Attempts, Max           int
	TraceID                 string `json:"trace_id"`
	SpanID                  string `json:"span_id"`
	Timeline                []struct {
		Attempt      int
		StartSeconds *float64 `json:"start_seconds"`
		EndSeconds   float64  `json:"end_seconds"`
		ErrorType    string   `json:"error_type"`
		Error        string
		DelaySeconds *float64 `json:"delay_seconds"`
		Pushback     bool
	}
}

// An ownProvider has an address of its own, which what has no size may lack.
type ownProvider struct {
	noop.MeterProvider
	_ byte
}

// A fixture is a page and the telemetry of what it shows, apart from that of other tests.
type fixture struct {
	page *inspect.Inspector
	tel  []telemetry.Option
}

func newFixture(t *testing.T, opts ...inspect.Option) *fixture {
	t.Helper()
	provider := new(ownProvider)
	page, err := inspect.New(append([]inspect.Option{inspect.WithMeterProvider(provider)}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, page.Close()) })
	return &fixture{page, []telemetry.Option{telemetry.WithMeterProvider(provider)}}
}

var uniques atomic.Int64

// unique makes a name that no other test has, nor another run of the test.
func unique(name string) string { return fmt.Sprintf("%s %d", name, uniques.Add(1)) }

func get(t *testing.T, h http.Handler, target string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, http.NoBody))
	return w
}

// read returns what the page shows, or what is new since a cursor.
func (f *fixture) read(t *testing.T, since string) *document {
	t.Helper()
	w := get(t, f.page, "/debug/resilience/state.json?since="+since)
	require.Equal(t, http.StatusOK, w.Code)
	var d document
	decoder := json.NewDecoder(w.Body)
	require.NoError(t, decoder.Decode(&d), w.Body)
	return &d
}

// numbers returns a series, where -1 is not known.
func numbers(series []*float64) []float64 {
	plain := make([]float64, 0, len(series))
	for _, n := range series {
		if n == nil {
			plain = append(plain, -1)
			continue
		}
		plain = append(plain, *n)
	}
	return plain
}

// A failure is an error with a type, that may be retried.
type failure string

func (f failure) Error() string     { return string(f) + " at https://user:secret@host/?key=secret" }
func (f failure) ErrorType() string { return string(f) }
func (f failure) Retryable() bool   { return true }
