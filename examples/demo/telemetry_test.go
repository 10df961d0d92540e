package main

import (
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	collectormetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collectortrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/proto"

	"github.com/observable-go/toolkit/resilience/telemetry"
)

// A collector keeps what is sent to it over OTLP/HTTP.
type collector struct {
	*httptest.Server

	mu      sync.Mutex
	spans   map[string]map[string]int // by service and trace id
	metrics map[string]*metrics.ResourceMetrics
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{spans: make(map[string]map[string]int), metrics: make(map[string]*metrics.ResourceMetrics)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		var sent collectortrace.ExportTraceServiceRequest
		assert.NoError(t, proto.Unmarshal(body, &sent))
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, of := range sent.GetResourceSpans() {
			name := attributeOf(of.GetResource().GetAttributes(), "service.name")
			if c.spans[name] == nil {
				c.spans[name] = make(map[string]int)
			}
			for _, scope := range of.GetScopeSpans() {
				for _, span := range scope.GetSpans() {
					c.spans[name][hex.EncodeToString(span.GetTraceId())]++
				}
			}
		}
	})
	mux.HandleFunc("POST /elsewhere/metrics", func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		var sent collectormetrics.ExportMetricsServiceRequest
		assert.NoError(t, proto.Unmarshal(body, &sent))
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, of := range sent.GetResourceMetrics() {
			c.metrics[attributeOf(of.GetResource().GetAttributes(), "service.name")] = of // the last export is that of the shutdown
		}
	})
	c.Server = httptest.NewServer(mux)
	t.Cleanup(c.Close)
	return c
}

func attributeOf(attributes []*common.KeyValue, key string) string {
	for _, a := range attributes {
		if a.GetKey() == key {
			return a.GetValue().GetStringValue()
		}
	}
	return ""
}

// metric returns what a service sent last of a metric.
func (c *collector) metric(service, name string) *metrics.Metric {
	for _, scope := range c.metrics[service].GetScopeMetrics() {
		for _, m := range scope.GetMetrics() {
			if m.GetName() == name {
				return m
			}
		}
	}
	return nil
}

// Metrics, spans, exemplars and the log of the callee tell one and the same of a storm.
func TestTelemetryAgreesWithLog(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	r := start(t, append(patient, "-otlp", c.URL, "-otlp-metrics", c.URL+"/elsewhere/metrics")...)
	protect(t, r, false, false)
	setFault(t, r, nameInventory, fail)
	setFault(t, r, namePayments, fail)
	r.orders(t, 100)
	r.end(t)
	all := r.entries(t)

	attempts := make(map[string]int)
	for _, p := range c.metric(nameStorefront, telemetry.MetricRetryAttempts).GetSum().GetDataPoints() {
		attempts[attributeOf(p.GetAttributes(), string(telemetry.AttrPolicyName))] += int(p.GetAsInt())
	}
	assert.Equal(t, map[string]int{nameInventory: len(of(nameInventory, all)), namePayments: len(of(namePayments, all))}, attempts)
	assert.Greater(t, attempts[nameInventory], len(of(nameStorefront, all)), "some were repeated")

	traces := make(map[string]int)
	for _, e := range all {
		traces[e.TraceID] = 0
		if e.Service == nameStorefront {
			continue
		}
		assert.Positive(t, c.spans[e.Service][e.TraceID], "a span of %s", e.Service)
	}
	spans := 0 // one for each order, and one for each attempt
	for _, n := range c.spans[nameStorefront] {
		spans += n
	}
	assert.Equal(t, len(of(nameStorefront, all))+attempts[nameInventory]+attempts[namePayments], spans)

	for _, name := range []string{telemetry.MetricRetryDelay, telemetry.MetricRetryLatency, telemetry.MetricCallDuration} {
		exemplars := 0
		for _, p := range c.metric(nameStorefront, name).GetHistogram().GetDataPoints() {
			for _, e := range p.GetExemplars() {
				exemplars++
				assert.Contains(t, traces, hex.EncodeToString(e.GetTraceId()), name)
			}
		}
		assert.Positive(t, exemplars, name)
	}
	for service, name := range map[string]string{
		nameStorefront: "http.client.request.duration", nameInventory: "http.server.request.duration", namePayments: "rpc.server.call.duration",
	} {
		m := c.metric(service, name)
		require.NotNil(t, m, "%s of %s", name, service)
	}
}

// A backend that is away is no reason to end badly, or late.
func TestNobodyCollects(t *testing.T) {
	t.Parallel()
	away := httptest.NewServer(nil)
	away.Close()
	r := start(t, "-rate", "50", "-otlp", away.URL, "-export-interval", "100ms")
	r.until(t, func(s state) bool { return s.Orders.Succeeded > 10 }, "orders")
	r.end(t)
}
