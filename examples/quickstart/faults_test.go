package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestPick(t *testing.T) {
	never := func(http.ResponseWriter, *http.Request) { t.Error("a fault of share 0 was drawn") }
	always := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }
	for range 100 {
		w := httptest.NewRecorder()
		pick([]fault{{0, never}, {1, always}})(w, nil)
		assert.Equal(t, http.StatusTeapot, w.Code)

		w = httptest.NewRecorder()
		pick([]fault{{0, never}})(w, nil)
		assert.JSONEq(t, found, w.Body.String())
	}
}

// Nothing gets through an outage, and nearly everything otherwise.
func TestShares(t *testing.T) {
	share := func(faults []fault) (sum float64) {
		for _, f := range faults {
			sum += f.share
		}
		return sum
	}
	assert.GreaterOrEqual(t, share(faultsIn(outage)), 1.0)
	for _, p := range []phase{healthy, recovered, ending} {
		assert.InDelta(t, 0.05, share(faultsIn(p)), 1e-9, p)
	}
}
