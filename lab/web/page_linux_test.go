package web_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/lab/scenario"
	"github.com/observable-go/toolkit/lab/web"
)

// looks are those that everybody's page is looked at with.
var looks = []look{{width: 1280}, {width: 1280, dark: true}, {width: 390}, {width: 390, dark: true}}

func pageServer(t *testing.T) *httptest.Server {
	t.Helper()
	handler := web.New(gallery())
	server := httptest.NewServer(handler)
	t.Cleanup(handler.Close)
	t.Cleanup(server.Close)
	return server
}

func report(t *testing.T, text string) *scenario.Report {
	t.Helper()
	s, err := scenario.Parse([]byte(text))
	require.NoError(t, err)
	r, err := s.Compare(context.Background(), nil)
	require.NoError(t, err)
	return r
}

// TestPage opens the page, runs something else by click, and looks at what it shows.
func TestPage(t *testing.T) {
	b := startBrowser(t)
	server := pageServer(t)
	b.as(looks[0])
	b.open(server.URL)

	// The first scenario has run by itself.
	first := report(t, outage)
	const policies = `document.querySelectorAll("#figures tbody tr").length`
	b.shows(2.0, policies)
	amplification := func(r *scenario.Report, i int) {
		t.Helper()
		cell := fmt.Sprintf(`document.querySelectorAll('#figures [data-field="amplification"]')[%d].dataset.value`, i)
		b.shows(fmt.Sprint(r.Policies[i].Figures["amplification"].Mid), cell)
	}
	amplification(first, 0)
	amplification(first, 1)
	says := b.text("#sentence")
	assert.Contains(t, says, fmt.Sprintf("three retries: the callee gets %.1f times the calls",
		first.Policies[0].Figures["amplification"].Mid))
	assert.Contains(t, b.text("#broken"), first.Broken[0])
	for _, l := range looks {
		b.as(l)
		b.picture("first-" + l.String())
	}
	b.as(looks[0])

	// Another scenario, by click.
	b.click(`[data-name="herd"]`)
	b.shows(4.0, policies)
	amplification(report(t, herd), 2)
	assert.Contains(t, b.text("#sentence"), "of the calls succeed")
	b.picture("herd-" + looks[0].String())
	b.clean()
}

// TestPageForms edits a scenario by its forms, runs and cancels it.
func TestPageForms(t *testing.T) {
	b := startBrowser(t)
	b.as(looks[0])
	b.open(pageServer(t).URL)
	const ran = `document.body.dataset.running === "false" && document.body.dataset.stale === "false"`
	b.shows(true, ran)

	b.write(`[data-field="knob.rate"]`, "100")
	b.shows(true, `document.querySelector("#yaml").value.includes("rate: 100")`)
	b.click(`.card:nth-of-type(1) summary`)
	b.click(`[data-field="0.budget"]`)
	b.write(`[data-field="0.budget.ratio"]`, "0.2")
	b.shows(true, `document.querySelector("#yaml").value.includes("budget: {ratio: 0.2}")`)
	b.shows("true", `document.body.dataset.stale`)
	for _, l := range []look{looks[0], looks[3]} {
		b.as(l)
		b.picture("forms-" + l.String())
	}
	b.as(looks[0])

	b.click("#run")
	b.shows(true, ran)
	text, _ := b.value(`document.querySelector("#yaml").value`).(string)
	want := fmt.Sprint(report(t, text).Policies[0].Figures["amplification"].Mid)
	b.shows(want, `document.querySelector('#figures [data-field="amplification"]').dataset.value`)

	// The cursor says the values of a time.
	b.value(`document.querySelector(".chart").focus()`)
	b.call("Input.dispatchKeyEvent", map[string]any{"type": "keyDown", "key": "ArrowRight"}, nil)
	assert.Contains(t, b.text(".readout"), "At 250 ms")
	b.click(`#legend button`)
	b.shows(1.0, `document.querySelectorAll('[data-chart="requests"] path.line').length`)

	// Files to save, which the test takes instead of the browser.
	b.value(`window.saved = []; HTMLAnchorElement.prototype.click = function () {
		saved.push(this.download) }; true`)
	for i, name := range []string{"outage-requests.png", "outage-series.csv", "outage-report.json"} {
		b.click([]string{".panel button", "#csv", "#json"}[i])
		b.shows(name, fmt.Sprintf(`saved[%d]`, i))
	}

	// What is not allowed is said beside the text.
	b.write(`[data-field="knob.clients"]`, "-1")
	b.shows(true, `document.querySelector("#run").disabled`)
	assert.Contains(t, b.text("#invalid"), "callers.clients: -1 is not allowed")
	b.write(`[data-field="knob.clients"]`, "10")
	b.shows(false, `document.querySelector("#run").disabled`)

	// A long run is cancelled.
	b.write(`[data-field="knob.seeds"]`, "1000")
	b.shows(true, `document.querySelector("#yaml").value.includes("seeds: 1000")`)
	b.click("#run")
	b.shows(false, `document.querySelector("#cancel").hidden`)
	b.shows(true, `document.querySelector("#status").textContent.includes("%")`)
	b.picture("running-" + looks[0].String())
	b.click("#cancel")
	b.shows("Cancelled.", `document.querySelector("#status").textContent`)
	b.clean()
}
