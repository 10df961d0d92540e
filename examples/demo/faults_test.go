package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// What each fault makes of a thousand requests, and how long they take.
func TestFaults(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		what             fault
		share            float64
		ok, failed, torn float64 // shares
		least, most      time.Duration
	}{
		{healthy, 0, 1, 0, 0, time.Millisecond, 6 * time.Millisecond},
		{slow, 0, 1, 0, 0, 100 * time.Millisecond, 700 * time.Millisecond},
		{fail, 0, 0.7, 0.3, 0, time.Millisecond, 6 * time.Millisecond},
		{fail, 0.9, 0.1, 0.9, 0, time.Millisecond, 6 * time.Millisecond},
		{reset, 0, 0.7, 0, 0.3, time.Millisecond, 6 * time.Millisecond},
		{reset, 1, 0, 0, 1, time.Millisecond, 6 * time.Millisecond},
		{outage, 0, 0, 1, 0, time.Millisecond, 6 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFaults(1, 2)
			f.set(test.what, test.share)
			results := make(map[result]float64)
			for range 1000 {
				began := time.Now()
				results[f.meet(t.Context())] += 1.0 / 1000
				assert.GreaterOrEqual(t, time.Since(began), test.least)
				assert.LessOrEqual(t, time.Since(began), test.most)
			}
			assert.InDelta(t, test.ok, results[resultOK], 0.05, "%s ok", test.what)
			assert.InDelta(t, test.failed, results[resultFailed], 0.05, "%s failed", test.what)
			assert.InDelta(t, test.torn, results[resultReset], 0.05, "%s reset", test.what)
		})
	}
}

func TestCallerLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFaults(1, 2)
		f.set(slow, 0)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		assert.Equal(t, resultCanceled, f.meet(ctx))
	})
}

func TestSameSeedSameFaults(t *testing.T) {
	t.Parallel()
	draw := func(seed uint64) (all []result) {
		f := newFaults(seed, 2)
		f.set(fail, 0.5)
		for range 100 {
			_, comes := f.draw()
			all = append(all, comes)
		}
		return all
	}
	first := draw(1)
	assert.Equal(t, first, draw(1))
	assert.NotEqual(t, first, draw(2))
}
