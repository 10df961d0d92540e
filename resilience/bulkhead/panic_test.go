package bulkhead_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/observable-go/toolkit/resilience/bulkhead"
)

// panickingSpan is a span of somebody else that panics over every event.
type panickingSpan struct{ noop.Span }

func (panickingSpan) IsRecording() bool                     { return true }
func (panickingSpan) AddEvent(string, ...trace.EventOption) { panic("span") }

// panickingContext is a context of somebody else that panics where it is waited for, or
// when the wait is over.
type panickingContext struct {
	context.Context
	done bool
	errs int // how many calls of Err do not panic
}

func (c *panickingContext) Done() <-chan struct{} {
	if c.done {
		panic("context")
	}
	return nil
}

func (c *panickingContext) Err() error {
	if c.errs--; c.errs < 0 {
		panic("context")
	}
	return nil
}

// Whatever panics while a call waits goes on up, and takes no place in the queue along nor
// a slot: the next has it.
func TestPanicWhileWaiting(t *testing.T) {
	t.Parallel()
	for name, ctx := range map[string]func(context.Context) context.Context{
		"span": func(ctx context.Context) context.Context { return trace.ContextWithSpan(ctx, panickingSpan{}) },
		"context": func(ctx context.Context) context.Context {
			return &panickingContext{Context: ctx, done: true, errs: 1}
		},
		"context later": func(ctx context.Context) context.Context {
			return &panickingContext{Context: ctx, errs: 1}
		},
	} {
		for form, call := range map[string]func(context.Context, *bulkhead.Bulkhead){
			"Do": func(ctx context.Context, b *bulkhead.Bulkhead) {
				_ = b.Do(ctx, func(context.Context) error { return nil })
			},
			"Acquire": func(ctx context.Context, b *bulkhead.Bulkhead) { _ = b.Acquire(ctx) },
		} {
			synctest.Test(t, func(t *testing.T) {
				b := bulkhead.MustNew("b", 1, bulkhead.WithQueue(5))
				take(t, b, 1)
				var panicked any
				go func() { panicked = run(func() { call(ctx(t.Context()), b) }) }()
				synctest.Wait()
				behind := make(chan error, 1)
				go func() { behind <- b.Do(t.Context(), func(context.Context) error { return nil }) }()
				synctest.Wait()
				b.Release()
				synctest.Wait()
				assert.NotNil(t, panicked, "%s, %s", name, form)
				select {
				case err := <-behind:
					require.NoError(t, err)
				case <-time.After(time.Hour):
					assert.Fail(t, "a slot is lost", "%s, %s", name, form)
				}
				requireIdle(t, b)
			})
		}
	}
}
