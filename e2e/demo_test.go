package e2e_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/e2e/internal/backend"
)

// A demo is the shop of examples/demo, which exports to the backends.
type demo struct {
	*backend.Process

	url string
	log string // file
}

// A shopState is what the shop tells of itself.
type shopState struct {
	Orders struct {
		Placed, Succeeded, Failed, Inflight float64
	}
	Services []struct {
		Name, Fault string
		Requests    float64
		Results     map[string]float64
	}
	Breakers []struct{ Name, State string }
}

// A request is a line of the shop's log, which the callee wrote.
type request struct {
	Service, Result, Order string
	Attempt                int
	TraceID                string `json:"trace_id"`
}

func startDemo(t *testing.T) *demo {
	t.Helper()
	needBackends(t)
	dir := t.TempDir()
	program := filepath.Join(dir, "demo")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./demo")
	build.Dir = root + "/examples"
	build.Env = append(os.Environ(), "GOWORK=off")
	output, err := build.CombinedOutput()
	require.NoError(t, err, string(output))
	d := &demo{log: filepath.Join(dir, "requests.jsonl")}
	// Patient, as an attempt that times out on a busy machine before it was sent is in no log.
	d.Process, err = backend.Start("demo", program, "-addr", "127.0.0.1:0", "-rate", "0", "-attempt-timeout", "20s", "-log", d.log,
		"-otlp-traces", jaeger.OTLPTraces(), "-otlp-metrics", prometheus.OTLPMetrics(), "-export-interval", "1s",
		"-trace-url", jaeger.URL+"/api/traces/{trace_id}")
	require.NoError(t, err)
	t.Cleanup(d.Stop)
	d.url = strings.TrimSuffix(awaitURL(t, d.Process, `Shop: (http://\S+)`), "/")
	return d
}

// post turns a control of the shop.
func (d *demo) post(t *testing.T, path string, body map[string]any) {
	t.Helper()
	text, err := json.Marshal(body)
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.url+path, bytes.NewReader(text))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	fetch(t, req, nil)
}

func (d *demo) state(t *testing.T) (s shopState) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.url+"/api/state", nil)
	require.NoError(t, err)
	fetch(t, req, &s)
	return s
}

// orders lets shoppers place a hundred more orders at least.
func (d *demo) orders(t *testing.T) {
	t.Helper()
	goal := d.state(t).Orders.Placed + 100
	d.post(t, "/api/settings", map[string]any{"rate": 100})
	require.Eventually(t, func() bool { return d.state(t).Orders.Placed >= goal }, waitLimit, pollInterval)
	d.post(t, "/api/settings", map[string]any{"rate": 0})
	require.Eventually(t, func() bool { return d.state(t).Orders.Inflight == 0 }, waitLimit, pollInterval)
}

// awaitFault waits until inventory has a fault, as the page was told.
func (d *demo) awaitFault(t *testing.T, fault string) {
	t.Helper()
	require.Eventually(t, func() bool {
		state := d.state(t)
		return state.Services[index(t, state, "inventory")].Fault == fault
	}, waitLimit, pollInterval)
}

// requests returns the lines of the log.
func (d *demo) requests(t *testing.T) (all []request) {
	t.Helper()
	file, err := os.Open(d.log)
	require.NoError(t, err)
	defer func() { _ = file.Close() }()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var r request
		require.NoError(t, json.Unmarshal(lines.Bytes(), &r), lines.Text())
		all = append(all, r)
	}
	return all
}

// TestDemo runs the demo against the backends, lets its services fail in the browser, and compares
// what its page and Prometheus say with the log that the services wrote.
func TestDemo(t *testing.T) { //nolint:tparallel // its parts look at the same traffic
	t.Parallel()
	d := startDemo(t)
	page := openPage(t, d.url+"/")
	shows(t, page, true, `document.querySelector("input[name=fault-inventory][value=healthy]").checked`)
	d.orders(t)
	pictures(t, page, "demo-healthy", looks...)

	// The page says how many requests an order makes: first one, and in a storm four.
	load := func(callee string) string {
		return `parseFloat(document.querySelector("#now-` + callee + `").innerText)`
	}
	d.post(t, "/api/settings", map[string]any{"rate": 50, "budget": false, "breaker": false})
	shows(t, page, 1.0, load("inventory"))
	shows(t, page, 1.0, load("payments"))
	shows(t, page, false, `document.querySelector("#budget").checked || document.querySelector("#breaker").checked`)
	require.NoError(t, page.Click(`input[name=fault-inventory][value=outage] + span`))
	shows(t, page, true, load("inventory")+` > 3.5`)
	shows(t, page, 0.0, load("payments"))
	d.post(t, "/api/faults", map[string]any{"service": "all", "fault": "healthy"})
	d.post(t, "/api/settings", map[string]any{"rate": 0, "budget": true, "breaker": true})

	require.NoError(t, page.Click(`input[name=fault-inventory][value=fail] + span`))
	d.awaitFault(t, "fail")
	d.orders(t)

	// An outage without a breaker shows what the budget does.
	require.NoError(t, page.Click(`label:has(#breaker)`))
	require.NoError(t, page.Click(`input[name=fault-inventory][value=outage] + span`))
	d.awaitFault(t, "outage")
	d.post(t, "/api/settings", map[string]any{"rate": 100})
	shows(t, page, true, `document.querySelector("#now-failed").innerText.includes("fail")`)
	pictures(t, page, "demo-outage", looks...)
	d.orders(t)
	require.NoError(t, page.Click(`#heal`))
	d.awaitFault(t, "healthy")
	d.orders(t)
	failedOrder := `document.querySelector("#failed a")?.getAttribute("href")`
	shows(t, page, true, failedOrder+`?.startsWith("`+jaeger.URL+`")`)
	link, err := page.Value(failedOrder)
	require.NoError(t, err)
	t.Run("trace", func(t *testing.T) {
		spans := trace(t, filepath.Base(fmt.Sprint(link)))
		var events []string
		for _, span := range spans {
			for _, event := range span.Events {
				events = append(events, event.Name)
			}
		}
		assert.Contains(t, events, "resilience.attempt.failed")
	})
	t.Run("debug page", func(t *testing.T) { testDemoDebugPage(t, d) })

	// The shop exports what it has when it is told to end.
	state := d.state(t)
	require.Empty(t, page.Problems())
	require.NoError(t, d.Interrupt())
	shows(t, page, false, `document.querySelector("#closed").hidden`)
	pictures(t, page, "demo-closed", looks[0])
	page.Close()
	page.Problems() // that it was not answered is what was wanted
	testDemoCounts(t, d, state)
}

// testDemoDebugPage compares the debug page of the storefront with the log.
func testDemoDebugPage(t *testing.T, d *demo) {
	requests := 0
	for _, r := range d.requests(t) {
		if r.Service == "inventory" {
			requests++
		}
	}
	page := openPage(t, d.url+"/debug/resilience/")
	const inventory = `[data-policy="inventory"]`
	rejected := func(reason string) string {
		return `Number(document.querySelector('` + inventory + ` [data-error="` + reason + `"]')?.dataset.value ?? 0)`
	}
	shows(t, page, float64(requests),
		`Number(`+field(inventory, "attempts-total")+`) - `+rejected("breaker_open")+` - `+rejected("bulkhead_full"))
	require.NoError(t, page.Click(inventory+` button.open`))
	shows(t, page, true, `document.querySelectorAll('`+inventory+` .call .attempt').length > 1`)
	shows(t, page, true, `document.querySelector('`+inventory+` .call a')?.href.startsWith("`+jaeger.URL+`")`)
	pictures(t, page, "demo-debug", looks...)
}

// testDemoCounts compares what Prometheus has with the log and with what shoppers counted.
func testDemoCounts(t *testing.T, d *demo, state shopState) {
	sum := func(expr string) float64 {
		samples, err := prometheus.Query(t.Context(), expr)
		require.NoError(t, err)
		total := 0.0
		for _, s := range samples {
			total += s.Value
		}
		return total
	}
	requests, failures, repeated := map[string]float64{}, map[string]float64{}, map[string]float64{}
	retried := map[string]bool{} // orders for which inventory was asked again
	for _, r := range d.requests(t) {
		requests[r.Service]++
		if r.Result != "ok" {
			failures[r.Service]++
		}
		if r.Attempt > 0 {
			repeated[r.Service]++
			if r.Service == "inventory" {
				retried[r.Order] = true
			}
		}
	}
	require.Positive(t, failures["inventory"])
	require.Positive(t, requests["payments"])
	require.NotEmpty(t, retried)
	for _, callee := range []string{"inventory", "payments"} {
		of := `{job="storefront",resilience_policy_name="` + callee + `"`
		const refused = `error_type=~"breaker_open|bulkhead_full"`
		sent := sum(`resilience_retry_attempts_total`+of+`}`) - sum(`resilience_retry_attempts_total`+of+`,`+refused+`}`)
		assert.Equal(t, requests[callee], sent, "attempts that reached %s", callee)
		failed := sum(`resilience_retry_attempts_total`+of+`,resilience_attempt_outcome="failure"}`) -
			sum(`resilience_retry_attempts_total`+of+`,`+refused+`}`)
		assert.Equal(t, failures[callee], failed, "attempts that failed at %s", callee)
		assert.Equal(t, requests[callee], state.Services[index(t, state, callee)].Requests, "requests that %s counted", callee)
	}
	// Without retries that the breaker refused, each order that was retried is a call that was.
	of := `{job="storefront",resilience_policy_name="inventory"}`
	assert.GreaterOrEqual(t, sum(`resilience_retry_latency_seconds_count`+of), float64(len(retried)))
	assert.GreaterOrEqual(t, sum(`resilience_retry_delay_seconds_count`+of), repeated["inventory"])
	assert.Equal(t, requests["storefront"], sum(`resilience_retry_calls_total`+of), "orders, each of which asks inventory")
	assert.Equal(t, requests["storefront"], state.Orders.Placed, "orders that shoppers counted")
}

// index finds a service.
func index(t *testing.T, s shopState, name string) int {
	t.Helper()
	for i, service := range s.Services {
		if service.Name == name {
			return i
		}
	}
	require.Fail(t, "there is no service "+name)
	return 0
}
