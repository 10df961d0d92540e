package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/observable-go/toolkit/resilience/telemetry"
)

// A traffic is what the program of the tests sends through policies and guards of every kind,
// with what is to be found of it in the backends.
type traffic struct {
	*service

	t      *testing.T
	callee *callee
	// traces are those of the calls by name.
	traces map[string]string
	// want is, for each metric, the value of each series that is not 0, by what its labels say in
	// the order of docs/signals.md: "orders.get exhausted 503". Those of histograms are counts.
	want map[string]map[string]float64
}

func newTraffic(t *testing.T, s *service) *traffic {
	t.Helper()
	return &traffic{
		service: s, t: t, callee: newCallee(t),
		traces: map[string]string{}, want: map[string]map[string]float64{},
	}
}

// count expects n more of a series.
func (tr *traffic) count(metric string, n float64, labels ...string) {
	if tr.want[metric] == nil {
		tr.want[metric] = map[string]float64{}
	}
	if n != 0 {
		tr.want[metric][strings.Join(labels, " ")] += n
	}
}

// A result is how a call ended by its outcome and, if it failed, the type of its error.
type result struct{ outcome, errorType string }

// retries expects what the callee's log says of the calls of a retry policy. The outcome of a call
// that says nothing there, as its last attempt might have been repeated, is told.
func (tr *traffic) retries(policy string, told map[string]result) {
	for call, log := range tr.callee.calls(policy) {
		last := log[len(log)-1].status
		failure := fmt.Sprint(last)
		end, ok := told[call]
		switch {
		case ok:
		case last == 200 && len(log) == 1:
			end = result{"success", ""}
		case last == 200:
			end = result{"success_after_retry", ""}
		case last == 400:
			end = result{"not_retryable", failure}
		case last == 418:
			end = result{"unclassified", failure}
		case len(log) == maxAttempts:
			end = result{"exhausted", failure}
		default:
			tr.t.Errorf("%s %s ended after %d of %d attempts with %d: why?", policy, call, len(log), maxAttempts, last)
		}
		tr.ended(policy, end)
		if len(log) > 1 {
			tr.count(telemetry.MetricRetryLatency, 1, policy, end.outcome)
			tr.count(telemetry.MetricRetryDelay, float64(len(log)-1), policy)
		}
		for _, attempt := range log {
			if attempt.status == 200 {
				tr.count(telemetry.MetricRetryAttempts, 1, policy, "success")
			} else {
				tr.count(telemetry.MetricRetryAttempts, 1, policy, "failure", fmt.Sprint(attempt.status))
			}
		}
	}
}

// ended expects one call that ended like this.
func (tr *traffic) ended(policy string, end result) {
	if end.outcome != "not_started" { // which took no time
		tr.count(telemetry.MetricCallDuration, 1, policy, end.outcome)
	}
	if end.errorType == "" {
		tr.count(telemetry.MetricRetryCalls, 1, policy, end.outcome)
	} else {
		tr.count(telemetry.MetricRetryCalls, 1, policy, end.outcome, end.errorType)
	}
}
