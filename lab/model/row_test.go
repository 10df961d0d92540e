package model_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/lab/model"
	"github.com/observable-go/toolkit/lab/sim"
	"github.com/observable-go/toolkit/resilience"
)

// Of those who read the same version one writes, and the others hear of a conflict.
func TestRow(t *testing.T) {
	t.Parallel()
	w := sim.New(1)
	defer w.Close()
	row := model.NewCallee(w, model.CalleeConfig{Kind: model.Row, Network: model.Distribution{Kind: model.Constant, Mean: 20 * time.Millisecond}}, nil)
	won, conflicts := 0, 0
	for range 10 {
		w.Go(func() {
			if err := row.Serve(context.Background()); err == nil {
				won++
			} else {
				assert.ErrorIs(t, err, model.ErrConflict)
				conflicts++
			}
			assert.Equal(t, 40*time.Millisecond, w.Elapsed(), "there and back twice")
		})
	}
	w.Run(time.Minute)
	assert.Equal(t, []int{1, 9, 10, 1}, []int{won, conflicts, row.Arrived, row.Served})
}

func TestRowThatIsNotAllowed(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]model.CalleeConfig{
		"callee.kind: tree is not allowed": {Kind: "tree"}, "callee.kind: row is not allowed": {Kind: model.Row, Servers: 2},
		"callee.network.deviation: 2s is not allowed": {Kind: model.Row, Network: model.Distribution{Mean: time.Second, Deviation: 2 * time.Second}},
		"callee.retry_after: 2h0m0s is not allowed":   {RetryAfter: 2 * time.Hour},
	} {
		require.ErrorContains(t, c.Validate("callee"), want)
	}
	fault := model.Fault{To: time.Second, Down: true}
	require.ErrorContains(t, fault.Validate("faults[0]", &model.CalleeConfig{Kind: model.Row}), "faults[0]: a fault is not allowed")
}

func TestNormalTimes(t *testing.T) {
	t.Parallel()
	d := model.Distribution{Kind: model.Normal, Mean: 20 * time.Millisecond, Deviation: 4 * time.Millisecond}
	w := sim.New(1)
	sum, squares := 0.0, 0.0
	for range 10_000 {
		x := d.Sample(w.Rand()).Seconds()
		sum, squares = sum+x, squares+(x-0.02)*(x-0.02)
	}
	assert.InDelta(t, 0.02, sum/10_000, 0.0002)
	assert.InDelta(t, 0.004*0.004, squares/10_000, 1e-6)
}

// What is throttled hears that it is too many, and for how long.
func TestThrottledAsksForLess(t *testing.T) {
	t.Parallel()
	w := sim.New(1)
	defer w.Close()
	callee := model.NewCallee(w, model.CalleeConfig{Servers: 10, Throttle: 1, RetryAfter: 3 * time.Second}, nil)
	w.Go(func() {
		assert.NoError(t, callee.Serve(context.Background()))
		err := callee.Serve(context.Background())
		assert.ErrorIs(t, err, model.ErrThrottled)
		assert.True(t, resilience.Throttled(err))
		after, ok := resilience.Pushback(err)
		assert.True(t, ok)
		assert.Equal(t, 3*time.Second, after)
	})
	w.Run(time.Minute)
}
