package main

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The calls of C while it is down are certain. The success rates are about what chance allows:
// with both signals only the attempts of B count, 1 - 0.5^3 = 0.875; with that of requests a
// request fails if all 7 possible calls do, 1 - 0.5^7 = 0.992; without any all 27 do. The bands
// are those of four standard deviations and more of the share of 800 requests.
func TestTable(t *testing.T) {
	results, err := measureAll(t.Context(), 800, 7)
	require.NoError(t, err)
	require.Len(t, results, 3)
	for i, want := range []struct {
		signals              string
		calls                int
		atLeast, atMost      float64
		leastMean, greatMean float64
	}{
		{"none", 27, 0.999, 1, 1.8, 2.2},
		{"request", 7, 0.975, 0.9999, 1.8, 2.2},
		{"request and answer", 3, 0.825, 0.925, 1.65, 1.85},
	} {
		got := results[i]
		assert.Equal(t, want.signals, got.signals)
		assert.Equal(t, want.calls, got.callsWhileDown, want.signals)
		assert.GreaterOrEqual(t, got.succeeded, want.atLeast, want.signals)
		assert.LessOrEqual(t, got.succeeded, want.atMost, want.signals)
		assert.GreaterOrEqual(t, got.meanCalls, want.leastMean, want.signals)
		assert.LessOrEqual(t, got.meanCalls, want.greatMean, want.signals)
	}
}

func TestSameSeedSameTable(t *testing.T) {
	first, err := measureAll(t.Context(), 50, 3)
	require.NoError(t, err)
	second, err := measureAll(t.Context(), 50, 3)
	require.NoError(t, err)
	assert.Equal(t, first, second)
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := measureAll(ctx, 1, 1)
	require.ErrorIs(t, err, context.Canceled)
}

func TestPrintTable(t *testing.T) {
	var out strings.Builder
	require.NoError(t, printTable(&out, []result{{"none", 27, 1, 2}, {"request and answer", 3, 0.875, 1.75}}))
	lines := strings.Split(out.String(), "\n")
	require.Len(t, lines, 5)
	assert.Equal(t, []string{"none", "27", "1.000", "2.00"}, strings.Fields(lines[2]))
	assert.Equal(t, []string{"request", "and", "answer", "3", "0.875", "1.75"}, strings.Fields(lines[3]))
}
