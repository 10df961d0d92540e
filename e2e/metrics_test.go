package e2e_test

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/observable-go/toolkit/resilience/telemetry"
)

// How long something may take that happens by itself soon, and how often to look.
const (
	waitLimit    = 20 * time.Second
	pollInterval = 20 * time.Millisecond
)

// A signal is a metric as docs/semconv/resilience.yaml defines it.
type signal struct {
	Name       string `yaml:"metric_name"`
	Instrument string `yaml:"instrument"`
	Unit       string `yaml:"unit"`
	Attributes []struct {
		Ref   string `yaml:"ref"`
		Level any    `yaml:"requirement_level"`
	} `yaml:"attributes"`
}

// signals returns the metrics that the toolkit emits by its own definition.
func signals(t *testing.T) (all []signal) {
	t.Helper()
	text, err := os.ReadFile(root + "/docs/semconv/resilience.yaml")
	require.NoError(t, err)
	var registry struct {
		Groups []signal `yaml:"groups"`
	}
	require.NoError(t, yaml.Unmarshal(text, &registry))
	for _, group := range registry.Groups {
		if group.Name != "" {
			all = append(all, group)
		}
	}
	require.NotEmpty(t, all)
	return all
}

// promName is the name of the metric in Prometheus, of a histogram that of its count.
func (s signal) promName() string {
	name := strings.ReplaceAll(s.Name, ".", "_")
	switch {
	case s.Unit == "s":
		name += "_seconds"
	case s.Unit == "1" && !strings.HasSuffix(name, "_ratio"):
		name += "_ratio"
	case strings.HasSuffix(s.Unit, "/s"):
		name += "_per_second"
	}
	switch s.Instrument {
	case "counter":
		name += "_total"
	case "histogram":
		name += "_count"
	}
	return name
}

// labels are the metric's labels in Prometheus in the order of its definition, and which of them
// each series must have.
func (s signal) labels() (all, required []string) {
	for _, attribute := range s.Attributes {
		label := strings.ReplaceAll(attribute.Ref, ".", "_")
		all = append(all, label)
		if attribute.Level == "required" {
			required = append(required, label)
		}
	}
	return all, required
}

// standard are labels that are there whatever the metric.
var standard = []string{"__name__", "job", "instance", "otel_scope_name", "otel_scope_version", "otel_scope_schema_url"}

// read returns what Prometheus has of a metric of a service: the values of the series that are
// not 0, by their labels. It complains of labels that do not belong there.
func (s signal) read(t *testing.T, job string) (values map[string]float64, series int) {
	t.Helper()
	samples, err := prometheus.Query(t.Context(), s.promName()+`{job="`+job+`"}`)
	require.NoError(t, err)
	all, required := s.labels()
	values = map[string]float64{}
	for _, sample := range samples {
		var key []string
		for _, label := range all {
			if value, ok := sample.Labels[label]; ok {
				key = append(key, value)
			} else {
				assert.NotContains(t, required, label, "%s has no label %s: %v", s.promName(), label, sample.Labels)
			}
		}
		for _, label := range slices.Sorted(maps.Keys(sample.Labels)) {
			assert.True(t, slices.Contains(all, label) || slices.Contains(standard, label),
				"%s has a label %s that %s does not have", s.promName(), label, s.Name)
		}
		if sample.Value != 0 {
			values[strings.Join(key, " ")] = sample.Value
		}
	}
	return values, len(samples)
}

// TestMetrics sends traffic through every kind of policy and reads every metric back from
// Prometheus: its series are those, and have the values, that follow from what the callee saw.
func TestMetrics(t *testing.T) { //nolint:tparallel // its parts look at the same traffic
	t.Parallel()
	tr := newTraffic(t, newService(t, "e2e-metrics"))
	sendEverything(tr)
	for _, s := range signals(t) {
		t.Run(s.Name, func(t *testing.T) {
			got, series := s.read(t, tr.name)
			require.NotZero(t, series, "%s is not in Prometheus", s.promName())
			switch s.Name {
			case telemetry.MetricAdaptiveRate: // what was learned: of the order of the traffic
				assert.Equal(t, []string{"adaptive.limited", "adaptive.patient"}, slices.Sorted(maps.Keys(got)))
				for key, value := range got {
					assert.Positive(t, value, key)
				}
			case telemetry.MetricAdaptiveMeasured: // one that is quickly throttled may have measured nothing yet
				assert.Positive(t, got["adaptive.patient"])
			case telemetry.MetricThrottleRatio: // of 100 calls most fail
				assert.InDelta(t, 0.9, got["throttle"], 0.1)
			case telemetry.MetricBudgetTokens: // spent, but for what dripped in since
				assert.InDelta(t, 0, got["orders"], 0.01)
				assert.InDelta(t, 0, got["orders.alone"], 0.01)
				assert.InDelta(t, tr.want[s.Name]["orders.shared"], got["orders.shared"], 0)
			case telemetry.MetricAdaptiveWait: // one call at a time waits, unless the machine is so busy that its turn has come
				assert.Equal(t, []string{"adaptive.patient"}, slices.Collect(maps.Keys(got)))
			default:
				want, ok := tr.want[s.Name]
				require.True(t, ok, "nothing of %s was counted apart from the toolkit, which says %v", s.Name, got)
				assert.Equal(t, slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got)))
				assert.InDeltaMapValues(t, want, got, 1e-9)
			}
		})
	}
}

// sendEverything sends what touches every metric, and exports it.
func sendEverything(tr *traffic) {
	tr.sendOrders(tr.policy("orders.get"), "orders.get")
	tr.retries("orders.get", nil)
	tr.sendThroughBudget()
	tr.sendThroughSharedBudgets()
	tr.sendSpecial()
	tr.sendDelayed()
	tr.sendWrong()
	tr.sendToBreakers()
	tr.sendToLimits()
	tr.sendToAdaptive()
	tr.sendToTimeout()
	tr.sendToHedges()
	tr.sendToFallback()
	release := tr.sendToBulkhead()
	tr.flush(tr.t)
	release()
}
