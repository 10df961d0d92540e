package main

import (
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
)

func TestReportOfNothing(t *testing.T) {
	nan := math.NaN()
	var got strings.Builder
	writeReport(&got, []result{{title: "with budget", rates: [...]float64{nan, nan, nan}}}, nil)
	assert.Contains(t, got.String(), "there is none")
	assert.NotContains(t, got.String(), "NaN")
}

func TestReportOfDisagreement(t *testing.T) {
	var got strings.Builder
	writeReport(&got, []result{
		{title: "one", check: check{attempts: 1, requests: 2}, skipped: 5},
		{title: "other"},
	}, nil)
	assert.Contains(t, got.String(), "DIFFERENT       equal\n")
	assert.Contains(t, got.String(), "one: 5 more calls were due")
	assert.NotContains(t, got.String(), "other: ")
}

func TestLoadBar(t *testing.T) {
	for load, want := range map[float64]int{0: 0, 1: 10, 3.96: 40, 1e9: 44} {
		assert.Equal(t, want, utf8.RuneCountInString(loadBar(load)), "%v", load)
	}
	assert.Empty(t, loadBar(math.NaN()))
}
