package resilience

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Retain returns a context for what an operation hands out and what lives longer
// than the attempt that made it: a response body, a *sql.Rows, a stream. It has the
// values of ctx. Until the operation returns it ends when ctx ends; afterwards it
// ends only with the context that the outermost policy was called with. A policy's
// own attempt timeout, and the cleaning up after the attempt, no longer reach it.
//
// Outside of an operation it is [context.WithCancel]. Call the CancelFunc when what
// was handed out is closed, to free what the context holds.
//
//	retained, cancel := resilience.Retain(ctx)
//	rows, err := db.QueryContext(retained, query)
//	if err != nil {
//		cancel()
//		return nil, err
//	}
//	return &Rows{Rows: rows, close: cancel}, nil
func Retain(ctx context.Context) (context.Context, context.CancelFunc) {
	innermost := scopeOf(ctx)
	if innermost == nil {
		return context.WithCancel(ctx)
	}
	outermost := innermost
	for outermost.outer != nil {
		outermost = outermost.outer
	}
	base, cancel := context.WithCancelCause(outermost.caller)
	obey := func(ctx context.Context, s *scope) func() bool {
		end := func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if !s.ended.Load() {
				cancel(context.Cause(ctx))
			}
		}
		if ctx.Err() != nil {
			end()
		}
		return context.AfterFunc(ctx, end)
	}
	stops := []func() bool{obey(ctx, innermost)}
	for s := innermost.outer; s != nil; s = s.outer {
		stops = append(stops, obey(s.ctx, s))
	}
	return retainedContext{base, ctx}, func() {
		for _, stop := range stops {
			stop()
		}
		cancel(context.Canceled)
	}
}

// Scope makes [Retain] work under a policy that cancels attempts: attempt must be a
// context derived from caller that ends with the attempt. The operation is to be
// called with the returned context, and end must be called after the operation has
// returned and before attempt is cancelled. It is for authors of policies: each that
// derives a context for the operation and cancels it afterwards needs it.
func Scope(caller, attempt context.Context) (ctx context.Context, end func()) {
	s := &scope{caller: caller, ctx: attempt, outer: scopeOf(caller)}
	return scopedContext{attempt, s}, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ended.Store(true)
	}
}

// scope is one run of an operation whose context ends with that run.
type scope struct {
	caller context.Context
	ctx    context.Context
	outer  *scope // the run that this one is part of, or nil
	ended  atomic.Bool
	mu     sync.Mutex
}

// scopeOf returns the run that ctx is part of, or nil: also if the run is over, or if
// ctx is what context.WithoutCancel detached from it. (A context derived from that is
// taken for part of the run as long as it lasts: nothing tells them apart.)
func scopeOf(ctx context.Context) *scope {
	s, _ := ctx.Value(scopeKey).(*scope)
	if s == nil || ctx.Done() == nil || s.ended.Load() {
		return nil
	}
	return s
}

type scopedContext struct {
	context.Context
	scope *scope
}

func (c scopedContext) Value(key any) any {
	if key == scopeKey {
		return c.scope
	}
	return c.Context.Value(key)
}

// retainedContext has the end of one context and the values of another.
type retainedContext struct {
	context.Context // ends with the caller's
	values          context.Context
}

func (c retainedContext) Value(key any) any {
	switch key {
	case scopeKey:
		return nil // what runs under it is part of no attempt any more
	case cancelKey:
		return c.Context.Value(key)
	}
	return c.values.Value(key)
}

// cancelKey is the key under which package context looks for what ends a context, to
// tell the cause and to end derived contexts. It is unexported, so we ask for a cause
// and see which key is asked for.
var cancelKey = func() any {
	var seen keyWatcher
	_ = context.Cause(&seen)
	return seen.key
}()

type keyWatcher struct{ key any }

func (*keyWatcher) Deadline() (deadline time.Time, ok bool) { return deadline, false }
func (*keyWatcher) Done() <-chan struct{}                   { return nil }
func (*keyWatcher) Err() error                              { return context.Canceled }
func (w *keyWatcher) Value(key any) any {
	w.key = key
	return nil
}
