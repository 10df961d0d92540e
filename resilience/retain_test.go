package resilience_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/observable-go/toolkit/resilience"
)

// When an attempt is over, an end of its context that is under way does not reach what was
// retained: what is alive then stays so.
func TestRetainedOutlivesAnEndThatIsUnderWay(t *testing.T) {
	t.Parallel()
	caller, cancel := context.WithCancel(t.Context())
	attempt := &slowToTell{Context: caller, asked: make(chan struct{}), tell: make(chan struct{})}
	ctx, end := resilience.Scope(t.Context(), attempt)
	kept, release := resilience.Retain(ctx)
	defer release()
	attempt.slow.Store(true)
	cancel()
	<-attempt.asked // the end of the attempt is on its way to what was retained

	alive := make(chan bool)
	go func() {
		end()
		alive <- kept.Err() == nil
	}()
	for range 10_000 {
		runtime.Gosched()
	}
	select {
	case <-alive:
		t.Error("the attempt is over while its end may still reach what was retained")
		close(attempt.tell)
	default:
		close(attempt.tell)
		assert.False(t, <-alive, "the end came first")
	}
}

// slowToTell is a context that takes its time to tell why it has ended.
type slowToTell struct {
	context.Context
	slow        atomic.Bool
	asked, tell chan struct{}
}

func (c *slowToTell) Value(key any) any {
	if c.slow.Swap(false) {
		close(c.asked)
		<-c.tell
	}
	return c.Context.Value(key)
}
