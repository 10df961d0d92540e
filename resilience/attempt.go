package resilience

import (
	"context"
	"sync"
)

// An Attempt tells an operation which of its runs this is.
type Attempt struct {
	// Policy is the name of the policy that repeats the operation.
	Policy string
	// Number counts the runs of the operation in this call, from 1.
	Number int
	// Max is how many runs the policy allows at most. It is 0 if that is not known.
	Max int
	// Remote says that another process repeats: this one serves a request that said so,
	// and Policy is empty. Number is then what the request claims, within bounds.
	Remote bool
	// Outer is the attempt of an outer policy that this call is part of, or nil.
	Outer *Attempt
}

// AttemptFrom returns the attempt that ctx belongs to, or nil if nothing has been
// repeated yet: a first attempt carries no mark, which keeps the untroubled path
// free of allocations. Where retries are nested it is the innermost attempt that
// is a repetition. The Attempt must not be changed.
func AttemptFrom(ctx context.Context) *Attempt {
	a, _ := ctx.Value(attemptKey).(*Attempt)
	return a
}

// WithAttempt returns a context that says which attempt its operation is. It sets
// Outer to the attempt that ctx belongs to. It is for authors of policies and for
// tests of operations that ask [AttemptFrom].
func WithAttempt(ctx context.Context, a Attempt) context.Context {
	a.Outer = AttemptFrom(ctx)
	f := nextFrame()
	f.Context, f.attempt = ctx, a
	return f
}

// NoRetry returns a context under which policies do not repeat an operation. The
// first attempt is made as usual, and its error is returned as it is, so that whoever
// forbids retries further in may retry by itself.
func NoRetry(ctx context.Context) context.Context {
	return context.WithValue(ctx, noRetryKey, true)
}

// MayRetry reports whether ctx allows an operation to be repeated: whether it is
// free of [NoRetry]. It is for authors of policies.
func MayRetry(ctx context.Context) bool {
	return ctx.Value(noRetryKey) == nil
}

// contextKey is the type of the keys of this package: pointers to it are unique.
type contextKey struct{ name string }

var (
	attemptKey = &contextKey{"attempt"}
	noRetryKey = &contextKey{"no retry"}
	scopeKey   = &contextKey{"scope"}
	gaveUpKey  = &contextKey{"gave up"}
)

// frame is the context of a repeated attempt.
type frame struct {
	context.Context
	attempt Attempt
}

func (f *frame) Value(key any) any {
	if key == attemptKey {
		return &f.attempt
	}
	return f.Context.Value(key)
}

// Frames are handed out of small slabs, so that a retry costs a sixteenth of an
// allocation. A frame is used once and never again: an operation may keep its
// context for as long as it likes. The price is that a slab keeps up to fifteen
// ended contexts reachable until it is used up or two garbage collections pass.
const framesPerSlab = 16

type slab struct {
	used   int
	frames [framesPerSlab]frame
}

var slabs = sync.Pool{New: func() any { return new(slab) }}

func nextFrame() *frame {
	s := slabs.Get().(*slab)
	f := &s.frames[s.used]
	if s.used++; s.used < framesPerSlab {
		slabs.Put(s)
	}
	return f
}
