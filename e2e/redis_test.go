package e2e_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/budgetredis"
	"github.com/observable-go/toolkit/e2e/internal/backend"
	"github.com/observable-go/toolkit/resilience/retry"
)

// TestRedisDies shows what an operator sees when the Redis of a shared budget dies, and when it comes back.
func TestRedisDies(t *testing.T) {
	t.Parallel()
	for _, without := range []budgetredis.Mode{budgetredis.Closed, budgetredis.Local} {
		t.Run(without.String(), func(t *testing.T) {
			t.Parallel()
			testRedisDies(startFleet(t, without))
		})
	}
}

func testRedisDies(f *fleet) {
	t, first := f.t, f.replicas[0]
	level, condition := f.of(`resilience:budget_level:ratio{%s}`), f.alert()
	f.seesMode(budgetredis.Shared)
	f.saved("before")
	f.seesCalls()
	f.seesChanges(map[string]float64{"shared": replicas})
	f.sees(map[string]float64{}, "job", condition)
	f.sees(map[string]float64{stock: 1}, "resilience_budget_name", level+" > bool 0.5") // a replica holds a tenth of its batch
	page := openPage(t, first.page)
	f.seesPage(page, budgetredis.Shared)

	f.redis.Kill()
	f.seesMode(f.without)
	f.seesChanges(map[string]float64{"shared": replicas, f.without.String(): replicas})
	f.sees(f.each(), "instance", f.of(`resilience_shared_budget_exchanges_total{%s,resilience_result="failure"} > bool 0`))
	const calls = 5
	for i := range calls {
		for n, r := range f.replicas {
			err := f.call(r, fmt.Sprint("fails ", n, i), "503")
			if f.without == budgetredis.Local && i < localBurst/maxRetries {
				require.ErrorIs(t, err, retry.ErrExhausted)
			} else {
				require.ErrorIs(t, err, retry.ErrBudgetExhausted)
			}
		}
	}
	// The callee has seen what the local budgets allow, or nothing but first attempts.
	want := map[string]float64{"success_after_retry": replicas, "budget_exhausted": replicas * calls}
	if f.without == budgetredis.Local {
		want["exhausted"] = replicas * localBurst / maxRetries
		want["budget_exhausted"] -= want["exhausted"]
	}
	outcomes, _, _ := f.callee.outcomes(stockGet)
	require.Equal(t, want, outcomes)
	f.seesCalls()
	f.sees(map[string]float64{stock: 1}, "resilience_budget_name", level+" < bool 0.01")
	f.sees(map[string]float64{stock: replicas}, "resilience_budget_name", condition)
	by := map[budgetredis.Mode]int{f.without: replicas}
	text := fmt.Sprintf("pending: 3 of 3 processes do not reach its store. "+
		"In mode closed, which denies every retry however few calls fail: %d. In mode local, where each decides by itself: %d.",
		by[budgetredis.Closed], by[budgetredis.Local])
	require.EventuallyWithT(t, func(c *assert.CollectT) { assert.Equal(c, []string{text}, f.alerts()) }, waitLimit, 10*pollInterval)
	f.seesPage(page, f.without)
	shows(t, page, fmt.Sprint(want["budget_exhausted"]/replicas), field(stockRow, "denied"))
	pictures(t, page, "page-redis-"+f.without.String(), looks...)

	require.NoError(t, f.redis.Again())
	f.seesMode(budgetredis.Shared)
	f.saved("after")
	f.seesCalls()
	f.seesChanges(map[string]float64{"shared": 2 * replicas, f.without.String(): replicas})
	f.sees(map[string]float64{}, "job", condition)
	require.EventuallyWithT(t, func(c *assert.CollectT) { assert.Empty(c, f.alerts()) }, waitLimit, 10*pollInterval)
	f.seesPage(page, budgetredis.Shared)
}

// seesPage waits until the debug page of the first replica shows a mode.
func (f *fleet) seesPage(page *backend.Page, mode budgetredis.Mode) {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, f.replicas[0].page+"state.json", nil)
	require.NoError(f.t, err)
	var b sharedState
	require.Eventually(f.t, func() bool {
		var s struct{ Budgets []sharedState }
		fetch(f.t, req, &s)
		for _, one := range s.Budgets {
			if one.Name == stock {
				b = one
			}
		}
		return b.Shared.Mode == mode.String()
	}, waitLimit, 10*pollInterval)
	assert.Contains(f.t, b.History.Mode, mode.String())
	assert.InDelta(f.t, burst, b.Shared.Capacity, 0)
	assert.Positive(f.t, b.Shared.Exchanges["success"])
	assert.Equal(f.t, mode == budgetredis.Shared, b.Shared.Tokens != nil, "tokens of all replicas")

	// The page says it in words.
	text := map[budgetredis.Mode]string{
		budgetredis.Shared: "of all replicas", budgetredis.Local: "of this process", budgetredis.Closed: "denies all retries",
	}[mode]
	shows(f.t, page, true, fmt.Sprintf(`document.querySelector('%s [data-field="held"]').innerText.includes(%q)`, stockRow, text))
	if mode == budgetredis.Closed {
		shows(f.t, page, "closed", field(stockRow, "state"))
	}
}

// A sharedState is what state.json has of a budget that replicas share.
type sharedState struct {
	Name   string
	Shared struct {
		Mode      string
		Tokens    *float64
		Capacity  float64
		Exchanges map[string]float64
		Changes   map[string]float64
	}
	History struct{ Mode []string }
}

// seesMode waits until all replicas are in a mode, and in no other.
func (f *fleet) seesMode(mode budgetredis.Mode) {
	f.t.Helper()
	f.sees(f.each(), "instance", f.of(`resilience_shared_budget_mode{%s,resilience_shared_budget_mode="`+mode.String()+`"} == 1`))
	f.sees(f.each(), "instance", f.of(`sum by (job, instance) (resilience_shared_budget_mode{%s})`))
	known := map[string]float64{} // of the latest exports, as Prometheus shows older values for five minutes
	if mode == budgetredis.Shared {
		known = f.each()
	}
	f.sees(known, "instance", f.of(`count by (job, instance) (last_over_time(resilience_shared_budget_tokens{%s}[2s]))`))
	f.sees(f.each(), "instance", f.of(`sum by (job, instance) (last_over_time(resilience_shared_budget_mode{%s}[2s]))`))
}

// seesChanges waits until so many changes to each mode were counted, of all replicas.
func (f *fleet) seesChanges(want map[string]float64) {
	f.t.Helper()
	f.sees(want, "resilience_shared_budget_mode",
		f.of(`sum by (job, resilience_shared_budget_mode) (resilience_shared_budget_changes_total{%s})`))
}

// seesCalls waits until calls and withdrawals were counted as the callee's log says.
func (f *fleet) seesCalls() {
	f.t.Helper()
	calls, attempts, _ := f.callee.outcomes(stockGet)
	f.sees(calls, "resilience_outcome", fmt.Sprintf(`sum by (job, resilience_outcome) (resilience_retry_calls_total{job=%q})`, f.job))
	answers := map[string]float64{"granted": attempts - float64(len(f.callee.calls(stockGet)))}
	if denied := calls["budget_exhausted"]; denied > 0 {
		answers["denied"] = denied
	}
	f.sees(answers, "resilience_budget_result",
		f.of(`sum by (job, resilience_budget_result) (resilience_budget_withdrawals_total{%s})`))
}

// alert returns the condition of the alert.
func (f *fleet) alert() string {
	f.t.Helper()
	rules, err := prometheus.Rules(f.t.Context())
	require.NoError(f.t, err)
	for _, rule := range rules {
		if rule.Name == notShared {
			return rule.Query
		}
	}
	require.Fail(f.t, "there is no alert "+notShared)
	return ""
}

const notShared = "ResilienceBudgetNotShared"

// alerts are the descriptions of the alert, which waits for its time.
func (f *fleet) alerts() (all []string) {
	f.t.Helper()
	found, err := prometheus.Alerts(f.t.Context())
	require.NoError(f.t, err)
	for _, a := range found {
		if a.Labels["alertname"] == notShared && a.Labels["job"] == f.job {
			all = append(all, a.State+": "+a.Annotations["description"])
		}
	}
	return all
}
