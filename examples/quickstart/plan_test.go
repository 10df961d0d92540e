package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestTimeline(t *testing.T) {
	began := time.Unix(1000, 0)
	tl := timeline{plan{lasts: [...]time.Duration{2 * time.Second, 3 * time.Second, time.Second}}, began}
	for _, test := range []struct {
		elapsed time.Duration
		at      phase
		spent   [ending]time.Duration
	}{
		{0, healthy, [...]time.Duration{0, 0, 0}},
		{1999 * time.Millisecond, healthy, [...]time.Duration{1999 * time.Millisecond, 0, 0}},
		{2 * time.Second, outage, [...]time.Duration{2 * time.Second, 0, 0}},
		{4 * time.Second, outage, [...]time.Duration{2 * time.Second, 2 * time.Second, 0}},
		{5500 * time.Millisecond, recovered, [...]time.Duration{2 * time.Second, 3 * time.Second, 500 * time.Millisecond}},
		{time.Minute, ending, [...]time.Duration{2 * time.Second, 3 * time.Second, time.Second}},
	} {
		now := began.Add(test.elapsed)
		assert.Equal(t, test.at, tl.at(now), "after %v", test.elapsed)
		for p, want := range test.spent {
			assert.Equal(t, want, tl.spent(phase(p), now), "%v after %v", phase(p), test.elapsed)
		}
	}
	assert.Equal(t, 6*time.Second, tl.total())
}
