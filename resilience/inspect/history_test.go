package inspect

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience/telemetry"
)

// counted is what a policy, a budget and a guard of one name have counted.
func counted(n int64) telemetry.Live {
	p := telemetry.LivePolicy{Name: "a", Attempts: n}
	p.Calls[telemetry.OutcomeSuccess] = n
	return telemetry.Live{
		Policies: []telemetry.LivePolicy{p},
		Budgets:  []telemetry.LiveBudget{{Name: "a", Granted: n, Tokens: math.Inf(-1), Capacity: math.NaN()}},
		Guards: []telemetry.LiveGuard{{
			Kind: "timeout", Name: "a", Results: []telemetry.LiveCount{{Name: "timed_out", N: n}},
			Levels: []telemetry.LiveLevel{{Name: "x", Value: math.Inf(1)}},
		}},
	}
}

// Where several providers report one name and one of them goes, less is left than was there.
func TestHistoryIsNeverNegative(t *testing.T) {
	t.Parallel()
	var h history
	h.begin(counted(5))
	for _, n := range []int64{7, 3, 4} {
		h.add(counted(n))
	}
	w := h.window(0)
	want := values{2, 0, 1}
	assert.Equal(t, want, w.values(&h.policies["a"].calls.series, 1))
	assert.Equal(t, want, w.values(&h.budgets["a"].granted.series, 1))
	assert.Equal(t, want, w.values(&h.guards[guardName{"timeout", "a"}].calls.series, 1))
	assert.Equal(t, want, w.values(&h.guards[guardName{"timeout", "a"}].rejected.series, 1))
	levels, err := json.Marshal(w.values(&h.guards[guardName{"timeout", "a"}].level, 1))
	require.NoError(t, err)
	assert.JSONEq(t, "[null,null,null]", string(levels))
}

// The history of what is gone does not stay for ever, and what comes back begins anew.
func TestHistoryForgets(t *testing.T) {
	t.Parallel()
	var h history
	h.begin(counted(5))
	h.add(counted(6))
	h.add(telemetry.Live{})
	assert.Empty(t, h.policies)
	assert.Empty(t, h.budgets)
	assert.Empty(t, h.guards)
	h.add(counted(2))
	t1 := h.policies["a"]
	assert.Equal(t, 3, t1.first)
	assert.InDelta(t, 2, h.window(2).values(&t1.calls.series, t1.first)[0], 0)
}

// A window holds the latest 150 samples, whatever was asked for.
func TestWindow(t *testing.T) {
	t.Parallel()
	var h history
	h.begin(counted(0))
	for n := int64(1); n <= 2*samples+1; n++ {
		h.add(counted(n * (n + 1) / 2)) // n more than before
		now := cursor{sample: h.latest}
		v := h.window(0).values(&h.policies["a"].calls.series, 1)
		require.Len(t, v, int(min(n, samples)))
		require.InDelta(t, n, v[len(v)-1], 0)
		require.InDelta(t, max(1, n-samples+1), v[0], 0)
		require.Equal(t, n <= samples, cursor{}.continues(now), "nothing is lost for who saw nothing")
		require.Empty(t, h.window(h.latest).values(&h.policies["a"].calls.series, 1))
	}
	assert.False(t, cursor{sample: h.latest + 1}.continues(cursor{sample: h.latest}), "of the future")
	assert.False(t, cursor{inspector: 1}.continues(cursor{}), "of another")
}
