package resilience_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/observable-go/toolkit/resilience"
)

func TestWatchGaveUp(t *testing.T) {
	t.Parallel()
	resilience.NoteGaveUp(t.Context()) // nobody watches

	ctx, gaveUp := resilience.WatchGaveUp(t.Context())
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	assert.False(t, gaveUp())
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			resilience.NoteGaveUp(inner)
			gaveUp()
		})
	}
	wg.Wait()
	assert.True(t, gaveUp())
}
