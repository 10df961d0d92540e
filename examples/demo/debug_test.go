package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func get(t *testing.T, url string) (status int, text string) {
	t.Helper()
	response, err := http.Get(url)
	require.NoError(t, err)
	defer response.Body.Close()
	all, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(all)
}

// Each service has a page of its own, on which the storefront's policies have made as many
// attempts as the callees have written down.
func TestDebugPages(t *testing.T) {
	t.Parallel()
	r := start(t, append(patient, "-trace-url", "http://localhost:16686/trace/{trace_id}")...)
	protect(t, r, false, false)
	setFault(t, r, nameInventory, outage)
	all := r.orders(t, 40)
	for i, url := range r.urls[1:] {
		status, text := get(t, url)
		assert.Equal(t, http.StatusOK, status)
		assert.Contains(t, text, "<html")

		status, text = get(t, url+"state.json")
		require.Equal(t, http.StatusOK, status)
		var shown struct {
			Title    string `json:"title"`
			TraceURL string `json:"trace_url"`
			Policies []struct {
				Name     string           `json:"name"`
				Calls    map[string]int64 `json:"calls"`
				Attempts int              `json:"attempts"`
			} `json:"policies"`
		}
		require.NoError(t, json.Unmarshal([]byte(text), &shown))
		assert.Equal(t, serviceNames[i], shown.Title)
		assert.Equal(t, "http://localhost:16686/trace/{trace_id}", shown.TraceURL)
		if i > 0 {
			assert.Empty(t, shown.Policies, "who calls nobody has no policies")
			continue
		}
		require.Len(t, shown.Policies, 2)
		for _, policy := range shown.Policies {
			assert.Equal(t, len(of(policy.Name, all)), policy.Attempts, policy.Name)
			if policy.Name == nameInventory {
				assert.EqualValues(t, len(of(nameStorefront, all)), policy.Calls["exhausted"])
			}
		}
	}
}

// A service that is down is not ready, but those that call it are.
func TestProbes(t *testing.T) {
	t.Parallel()
	r := start(t, patient...)
	probe := func(service int, path string) int {
		status, _ := get(t, strings.TrimSuffix(r.urls[1+service], debugPath)+path)
		return status
	}
	for i := range serviceNames {
		assert.Equal(t, http.StatusOK, probe(i, "/livez"))
		assert.Equal(t, http.StatusOK, probe(i, "/readyz"))
	}
	setFault(t, r, nameInventory, outage)
	assert.Equal(t, http.StatusOK, probe(1, "/livez"))
	assert.Equal(t, http.StatusServiceUnavailable, probe(1, "/readyz"))
	assert.Equal(t, http.StatusOK, probe(0, "/readyz"))
}
