package e2e_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/e2e/internal/backend"
)

// looks are those that everybody's page is looked at with.
var looks = []backend.Look{{Width: 1280}, {Width: 1280, Dark: true}, {Width: 390}, {Width: 390, Dark: true}}

// openPage opens a tab, in which nothing may have gone wrong when the test ends.
func openPage(t *testing.T, address string) *backend.Page {
	t.Helper()
	page, err := browser.Open(address)
	require.NoError(t, err)
	t.Cleanup(page.Close)
	t.Cleanup(func() { assert.Empty(t, page.Problems(), "what the console of %s shows", address) })
	return page
}

// shows waits until a JavaScript expression gives a value.
func shows(t *testing.T, page *backend.Page, want any, expression string) {
	t.Helper()
	var got any
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		var err error
		got, err = page.Value(expression)
		require.NoError(c, err)
		assert.Equal(c, want, got)
	}, waitLimit, 10*pollInterval, expression)
}

// pictures leaves screenshots of a page in each look, in none of which it is wider than the window.
func pictures(t *testing.T, page *backend.Page, name string, looks ...backend.Look) {
	t.Helper()
	for _, look := range looks {
		require.NoError(t, page.As(look))
		shows(t, page, true, "document.documentElement.scrollWidth <= window.innerWidth")
		require.NoError(t, page.Screenshot(name+"-"+look.String()))
	}
	require.NoError(t, page.As(looks[0]))
}

// field is the exact value of a field in the row of a policy, budget or guard.
func field(row, name string) string {
	return fmt.Sprintf(`document.querySelector('%s [data-field="%s"]')?.dataset.value`, row, name)
}

// A state is what state.json has of the counts.
type state struct {
	Policies []struct {
		Name              string
		Calls             map[string]float64
		Attempts, Retries float64
		Errors            map[string]float64
	}
	Budgets []struct {
		Name                    string
		Tokens, Granted, Denied float64
	}
	Guards []struct {
		Kind, Name, State string
		Results           map[string]float64
	}
}

func (h *host) state(t *testing.T) (s state) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.page()+"state.json", nil)
	require.NoError(t, err)
	fetch(t, req, &s)
	return s
}

// outcomes are how many calls of a policy ended how, as the callee's log says: one that failed
// before its last attempt was stopped by a budget.
func (c *callee) outcomes(policy string) (calls map[string]float64, attempts, failures float64) {
	calls = map[string]float64{}
	for _, log := range c.calls(policy) {
		attempts += float64(len(log))
		for _, e := range log {
			if e.status != http.StatusOK {
				failures++
			}
		}
		switch {
		case log[len(log)-1].status != http.StatusOK && len(log) < maxAttempts:
			calls["budget_exhausted"]++
		case log[len(log)-1].status != http.StatusOK:
			calls["exhausted"]++
		case len(log) > 1:
			calls["success_after_retry"]++
		default:
			calls["success"]++
		}
	}
	return calls, attempts, failures
}

// TestDebugPage drives a service through an outage and looks at its debug page.
func TestDebugPage(t *testing.T) { //nolint:tparallel // its parts look at the same traffic
	t.Parallel()
	needBackends(t)
	h := startHost(t, "shop")
	page := openPage(t, h.page())
	const orders, stock = `[data-policy="orders.get"]`, `[data-policy="stock.get"]`
	const budgetRow, guard = `[data-budget="stock"]`, `[data-guard="stock"]`
	shows(t, page, "0", field(orders, "calls-total"))

	for i := range 20 {
		h.send(t, "orders.get", fmt.Sprint("once", i), "200")
		h.send(t, "stock.get", fmt.Sprint("once", i), "200")
	}
	pictures(t, page, "page-healthy", looks...)
	for i := range 5 {
		h.send(t, "orders.get", fmt.Sprint("twice", i), "503,200")
	}
	for i := range 3 {
		h.send(t, "orders.get", fmt.Sprint("in-vain", i), "503")
	}
	const outage = 20 // calls: the budget lets ten retries pass, and denies ten until 25 failures open the breaker
	for i := range outage {
		h.send(t, "stock.get", fmt.Sprint("down", i), "503")
	}

	// What state.json says is what the callee saw.
	calls, attempts, failures := h.callee.outcomes("orders.get")
	stockCalls, stockAttempts, stockFailures := h.callee.outcomes("stock.get")
	retries := attempts - 28
	require.Equal(t, map[string]float64{"success": 20, "success_after_retry": 5, "exhausted": 3}, calls)
	require.Equal(t, map[string]float64{"success": 20, "exhausted": 5, "budget_exhausted": 10}, stockCalls)
	refused := 20 + outage - float64(len(h.callee.calls("stock.get"))) // calls that the breaker kept from the callee
	var now state
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		now = h.state(t)
		require.Len(c, now.Policies, 2)
		assert.Equal(c, "orders.get", now.Policies[0].Name)
		assert.Equal(c, calls, now.Policies[0].Calls)
		assert.Equal(c, attempts, now.Policies[0].Attempts)
		assert.Equal(c, retries, now.Policies[0].Retries)
	}, waitLimit, 10*pollInterval)
	require.Len(t, now.Guards, 1)
	assert.Equal(t, "open", now.Guards[0].State)
	assert.Equal(t, map[string]float64{"success": 20, "failure": stockFailures, "ignored": 0, "rejected": refused}, now.Guards[0].Results)
	stockCalls["refused"] = refused
	assert.Equal(t, stockCalls, now.Policies[1].Calls)
	granted, denied := stockAttempts-float64(len(h.callee.calls("stock.get"))), stockCalls["budget_exhausted"]
	require.Len(t, now.Budgets, 1)
	assert.Equal(t, granted, now.Budgets[0].Granted)
	assert.Equal(t, denied, now.Budgets[0].Denied)

	// What the page shows is the same.
	number := func(n float64) string { return fmt.Sprint(n) }
	shows(t, page, number(28), field(orders, "calls-total"))
	shows(t, page, number(attempts), field(orders, "attempts-total"))
	shows(t, page, true, `Math.abs(`+field(orders, "retry-rate")+` - 8/28) < 1e-9`) // of the last minute, as the next
	shows(t, page, true, `Math.abs(`+field(orders, "failed-share")+` - 3/28) < 1e-9`)
	shows(t, page, number(retries), field(orders, "retries-total"))
	for outcome, n := range calls {
		shows(t, page, number(n), fmt.Sprintf(`document.querySelector('%s [data-outcome="%s"]')?.dataset.value`, orders, outcome))
	}
	shows(t, page, number(failures),
		fmt.Sprintf(`document.querySelector('%s [data-error="503"]')?.dataset.value`, orders))
	shows(t, page, true, `Math.abs(`+field(orders, "success-after-retry")+` - 5/28) < 1e-9`)
	shows(t, page, number(20+outage), field(stock, "calls-total"))
	shows(t, page, true, `Number(`+field(budgetRow, "tokens")+`) < 0.01`)
	shows(t, page, number(granted), field(budgetRow, "granted"))
	shows(t, page, number(denied), field(budgetRow, "denied"))
	shows(t, page, "open", field(guard, "state"))
	pictures(t, page, "page-outage", looks...)

	t.Run("keys", func(t *testing.T) { testKeys(t, page) })

	// It goes on without being reloaded.
	h.send(t, "orders.get", "one-more", "200")
	shows(t, page, number(29), field(orders, "calls-total"))

	require.Empty(t, page.Problems())
	h.Stop()
	shows(t, page, false, `document.querySelector("#lost").hidden`)
	pictures(t, page, "page-lost", looks...)
	page.Close()
	page.Problems() // that it was not answered is what was wanted
}

// testKeys searches, filters and opens with keys and clicks.
func testKeys(t *testing.T, page *backend.Page) {
	hidden := func(policy string) string {
		return fmt.Sprintf(`document.querySelector('[data-policy="%s"]').offsetParent === null`, policy)
	}
	require.NoError(t, page.Press("/"))
	shows(t, page, "search", `document.activeElement.id`)
	require.NoError(t, page.Press("stock"))
	shows(t, page, "stock", `document.querySelector("#search").value`)
	require.NoError(t, page.Screenshot("page-search"))
	shows(t, page, true, hidden("orders.get"))
	shows(t, page, false, hidden("stock.get"))
	require.NoError(t, page.Screenshot("page-search"))
	require.NoError(t, page.Press(kb.Escape))
	shows(t, page, "", `document.querySelector("#search").value`)
	shows(t, page, false, hidden("orders.get"))

	require.NoError(t, page.Click(`[data-show="guards"]`))
	shows(t, page, true, hidden("orders.get"))
	require.NoError(t, page.Click(`[data-show="all"]`))
	shows(t, page, false, hidden("orders.get"))

	require.NoError(t, page.Press("/"))
	require.NoError(t, page.Press("orders"))
	require.NoError(t, page.Press(kb.ArrowDown))
	shows(t, page, "orders.get", `document.activeElement.innerText`)
	require.NoError(t, page.Press(kb.Enter))
	const exhausted = `[...document.querySelectorAll('[data-policy="orders.get"] .call')].filter(c => c.dataset.outcomeOf === "exhausted")`
	shows(t, page, 3.0, exhausted+`.length`)
	shows(t, page, 3.0, exhausted+`[0].querySelectorAll(".attempt").length`)
	pictures(t, page, "page-calls", looks...)
	require.NoError(t, page.Press("/"))
	require.NoError(t, page.Press(kb.Escape))
}

// TestDebugPageEmpty looks at the page of a service that has made no policy.
func TestDebugPageEmpty(t *testing.T) {
	t.Parallel()
	needBackends(t)
	page := openPage(t, startHost(t, "0").page())
	shows(t, page, true, `document.querySelector("#live").dataset.live === "live"`)
	shows(t, page, true, `document.body.innerText.includes("No retry policy was made yet")`)
	pictures(t, page, "page-empty", looks...)
}

// TestDebugPageMany looks at the page of a service with 500 policies.
func TestDebugPageMany(t *testing.T) {
	t.Parallel()
	needBackends(t)
	const policies, failing = 500, 30
	h := startHost(t, fmt.Sprint(policies))
	for i := range failing {
		h.send(t, fmt.Sprintf("policy.%03d", i), "in-vain", "503")
	}
	page := openPage(t, h.page())
	shows(t, page, 1.0, `Number(`+field(`[data-policy="policy.007"]`, "calls-total")+`)`)

	shows(t, page, float64(policies), `document.querySelectorAll("[data-policy]").length`)
	shows(t, page, fmt.Sprint(failing), `document.querySelector('[data-show="trouble"] .count').innerText`)
	pictures(t, page, "page-many", looks...)

	// The fastest of several, as other tests keep the machine busy.
	fastest := time.Hour
	for range 20 {
		began := time.Now()
		require.Len(t, h.state(t).Policies, policies)
		fastest = min(fastest, time.Since(began))
	}
	t.Logf("an answer of state.json with %d policies takes %v", policies, fastest)
	assert.Less(t, fastest, 50*time.Millisecond)
}
