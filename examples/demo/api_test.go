package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStateAtTheBeginning(t *testing.T) {
	t.Parallel()
	r := start(t, append(patient, "-trace-url", "http://localhost:16686/trace/{trace_id}")...)
	s := r.state(t)
	assert.Zero(t, s.Rate)
	assert.True(t, s.Budget)
	assert.True(t, s.Breaker)
	assert.Equal(t, "http://localhost:16686/trace/{trace_id}", s.TraceURL)
	assert.Equal(t, storyState{}, s.Story)
	assert.Equal(t, orderCounts{}, s.Orders)
	require.Len(t, s.Services, 3)
	for i, service := range s.Services {
		assert.Equal(t, serviceNames[i], service.Name)
		assert.Equal(t, healthy, service.Fault)
		assert.Equal(t, fmt.Sprintf("http://127.0.0.1:%d/debug/resilience/", service.Port), r.urls[i+1])
	}
	assert.Equal(t, []breakerState{{nameInventory, "closed"}, {namePayments, "closed"}}, s.Breakers)
	assert.Equal(t, []budgetState{{nameInventory, 20, 20}, {namePayments, 20, 20}}, s.Budgets)
}

func TestFaultsAndSettings(t *testing.T) {
	t.Parallel()
	r := start(t, patient...)
	s := r.post(t, "api/faults", map[string]any{"service": "inventory", "fault": "fail", "share": 0.5})
	assert.Equal(t, fail, s.Services[1].Fault)
	assert.InDelta(t, 0.5, s.Services[1].Share, 0)
	s = r.post(t, "api/faults", map[string]any{"service": "all", "fault": "reset"})
	for _, service := range s.Services {
		assert.Equal(t, reset, service.Fault)
		assert.InDelta(t, defaultShare, service.Share, 0)
	}
	s = r.post(t, "api/settings", map[string]any{"budget": false, "breaker": false, "rate": 2.5})
	assert.False(t, s.Budget)
	assert.False(t, s.Breaker)
	assert.InDelta(t, 2.5, s.Rate, 0)
	assert.Equal(t, "disabled", s.Breakers[0].State)
	s = r.post(t, "api/settings", map[string]any{"breaker": true})
	assert.False(t, s.Budget, "what is missing stays")
	assert.Equal(t, "closed", s.Breakers[1].State)
	texts := make([]string, 0, len(s.Events))
	for _, e := range s.Events {
		texts = append(texts, e.Text)
	}
	assert.Equal(t, []string{
		"circuit breaker on", "2.5 orders a second", "circuit breaker off", "retry budget off",
		"payments resets 30 % of its connections", "inventory resets 30 % of its connections", "storefront resets 30 % of its connections",
		"inventory fails 50 % of its requests",
	}, texts)
}

func TestWhatIsNotAllowed(t *testing.T) {
	t.Parallel()
	r := start(t, patient...)
	for _, test := range []struct{ path, body, want string }{
		{"api/faults", `{"service":"stock","fault":"slow"}`, `service: \"stock\" is not allowed: want one of storefront, inventory, payments, all`},
		{"api/faults", `{"service":"inventory","fault":"hot"}`, `fault: \"hot\" is not allowed: want one of healthy, slow, fail, reset, outage`},
		{"api/faults", `{"service":"inventory","fault":"fail","share":1.5}`, `share: 1.5 is not allowed`},
		{"api/faults", `{"service":"inventory","fault":"slow","share":0.5}`, `share: 0.5 is not allowed for the fault \"slow\"`},
		{"api/faults", `{"name":"inventory"}`, `unknown field \"name\"`},
		{"api/faults", `{"service":"all","fault":"slow"}{}`, `more than one value is not allowed`},
		{"api/settings", `{"rate":-1}`, `rate: -1 is not allowed: want 0 to 1000 orders a second`},
		{"api/settings", `{"rate":1001}`, `rate: 1001 is not allowed`},
		{"api/settings", `[]`, `body: `},
		{"api/story", `{"play":"now"}`, `body: `},
		{"orders", `{"order":"../x"}`, `1 to 64 letters, digits and hyphens`},
	} {
		response, err := http.Post(r.url+test.path, "application/json", strings.NewReader(test.body))
		require.NoError(t, err)
		answer, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		response.Body.Close()
		assert.Equal(t, http.StatusBadRequest, response.StatusCode, test.body)
		assert.Contains(t, string(answer), test.want)
	}
	assert.Empty(t, r.state(t).Events)
	assert.Empty(t, r.entries(t))
}

// What another site makes a browser send changes nothing.
func TestOtherSites(t *testing.T) {
	t.Parallel()
	r := start(t, patient...)
	const turn, place = `{"service":"all","fault":"outage"}`, `{"order":"1"}`
	for _, test := range []struct {
		path, body, header, value string
		want                      int
	}{
		{"api/faults", turn, "Content-Type", "text/plain", http.StatusBadRequest}, // as forms of other sites can send
		{"api/faults", turn, "Sec-Fetch-Site", "cross-site", http.StatusForbidden},
		{"api/faults", turn, "Sec-Fetch-Site", "same-site", http.StatusForbidden}, // another port of this machine
		{"api/faults", turn, "Origin", "http://example.com", http.StatusForbidden},
		{"orders", place, "Sec-Fetch-Site", "cross-site", http.StatusForbidden},
		{"orders", place, "Origin", "null", http.StatusForbidden},
	} {
		request, err := http.NewRequest(http.MethodPost, r.url+test.path, strings.NewReader(test.body))
		require.NoError(t, err)
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set(test.header, test.value)
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		response.Body.Close()
		assert.Equal(t, test.want, response.StatusCode, "%s, %s: %s", test.path, test.header, test.value)
	}
	assert.Equal(t, healthy, r.state(t).Services[0].Fault)
	assert.Empty(t, r.entries(t))
}

func TestPage(t *testing.T) {
	t.Parallel()
	r := start(t, patient...)
	for path, kind := range map[string]string{
		"": "text/html", "shop.js": "text/javascript", "charts.js": "text/javascript", "shop.css": "text/css", "icon.svg": "image/svg+xml",
	} {
		response, err := http.Get(r.url + path)
		require.NoError(t, err)
		text, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		response.Body.Close()
		assert.Equal(t, http.StatusOK, response.StatusCode, path)
		assert.Contains(t, response.Header.Get("Content-Type"), kind, path)
		assert.Contains(t, response.Header.Get("Content-Security-Policy"), "default-src 'none'")
		assert.NotContains(t, response.Header.Get("Content-Security-Policy"), "unsafe")
		if kind == "text/html" {
			assert.NotContains(t, string(text), " style=", "the policy of the page forbids it")
			assert.NotContains(t, string(text), "<style")
			assert.NotContains(t, string(text), "://", "nothing comes from elsewhere")
		}
	}
	response, err := http.Get(r.url + "nothing")
	require.NoError(t, err)
	response.Body.Close()
	assert.Equal(t, http.StatusNotFound, response.StatusCode)
}

// The charts have a value for each second, and their sum is that of all orders.
func TestHistory(t *testing.T) {
	t.Parallel()
	r := start(t, patient...)
	r.post(t, "api/settings", map[string]any{"rate": 20})
	r.until(t, func(s state) bool { return s.Orders.Placed >= 20 }, "orders")
	r.post(t, "api/settings", map[string]any{"rate": 0})
	now := r.until(t, func(s state) bool { return s.Orders.Inflight == 0 }, "the end of the orders")
	for _, e := range r.entries(t) {
		assert.Regexp(t, "^1-0000", e.Order, "the seed, and the number")
	}
	s := r.until(t, func(s state) bool { return s.History.Last >= now.History.Last+2 }, "two more seconds")
	h := s.History
	assert.Len(t, h.Orders, int(h.Last))
	assert.Equal(t, s.Orders.Placed, sum(h.Orders))
	assert.Equal(t, s.Orders.Succeeded, sum(h.Succeeded))
	assert.Equal(t, s.Services[1].Requests, sum(h.Requests[nameInventory]))
	assert.Len(t, h.Tokens[namePayments], int(h.Last))
	assert.Len(t, h.Breaker[nameInventory], int(h.Last))
}

func sum(values []int64) (all int64) {
	for _, v := range values {
		all += v
	}
	return all
}

func TestHistoryIsBounded(t *testing.T) {
	t.Parallel()
	h := new(history)
	for range 2 * keepSamples {
		h.add(sample{})
	}
	assert.Len(t, h.state().Orders, keepSamples)
	assert.EqualValues(t, 2*keepSamples, h.state().Last)
}

func TestStory(t *testing.T) {
	t.Parallel()
	r := start(t, patient...)
	r.post(t, "api/story", map[string]any{"play": true})
	s := r.until(t, func(s state) bool { return s.Story.Step == "healthy" }, "the first step")
	assert.True(t, s.Story.Playing)
	assert.InDelta(t, 8, s.Story.RemainingSeconds, 2)
	r.until(t, func(s state) bool { return !s.Budget && s.Rate == 50 }, "its settings")
	// What is not allowed does not stop it. Who takes the controls does.
	for path, body := range map[string]any{
		"api/faults": map[string]any{"service": "all", "fault": "hot"}, "api/settings": map[string]any{"rate": -1},
	} {
		status, _ := r.send(t, path, body)
		assert.Equal(t, http.StatusBadRequest, status)
		assert.True(t, r.state(t).Story.Playing, path)
	}
	s = r.post(t, "api/settings", map[string]any{"rate": 0})
	assert.False(t, s.Story.Playing)
	assert.Equal(t, "The story was stopped.", s.Events[1].Text)
}

func TestStoryToItsEnd(t *testing.T) {
	t.Parallel()
	var total time.Duration
	for _, s := range storySteps {
		total += s.lasts
	}
	assert.Equal(t, time.Minute, total, "as the page says")

	o, err := parse([]string{"-addr", "127.0.0.1:0", "-rate", "0"}, io.Discard)
	require.NoError(t, err)
	shop, err := newShop(t.Context(), o)
	require.NoError(t, err)
	defer func() { assert.NoError(t, shop.fail(nil)) }()
	var seen []string
	shop.story.steps = nil
	for _, s := range storySteps {
		shop.story.steps = append(shop.story.steps, step{s.name, s.text, time.Millisecond, func(c *controls) {
			s.apply(c)
			budget, breaker := c.switches()
			what, _ := c.services[1].faults.get()
			seen = append(seen, strings.Join([]string{s.name, string(what), "budget", onOff(budget), "breaker", onOff(breaker)}, " "))
		}})
	}
	shop.story.play(t.Context())
	shop.story.background.Wait()
	assert.Equal(t, []string{
		"healthy healthy budget off breaker off",
		"outage_without_budget outage budget off breaker off",
		"outage_with_budget outage budget on breaker off",
		"outage_with_breaker outage budget on breaker on",
		"recovery healthy budget on breaker on",
	}, seen)
	assert.False(t, shop.story.state().Playing)
}
