package resilience

import (
	"context"
	"sync/atomic"
)

// WatchGaveUp returns a context of which gaveUp reports whether a policy that was called
// under it gave up: it made retries and may make no more, or a budget or the callee spoke
// against one. A server that answers a request with a failure after that can tell its
// caller not to repeat it, as package retryhttp does: the retries were made here, and
// those of the caller would multiply them.
//
// It is for authors of servers. gaveUp may be called by several goroutines at once.
func WatchGaveUp(ctx context.Context) (watched context.Context, gaveUp func() bool) {
	noted := new(atomic.Bool)
	return context.WithValue(ctx, gaveUpKey, noted), noted.Load
}

// NoteGaveUp tells whoever watches ctx by [WatchGaveUp] that retries were made in vain. It
// is for authors of policies that repeat, and of clients whose callee said that it did.
func NoteGaveUp(ctx context.Context) {
	if noted, ok := ctx.Value(gaveUpKey).(*atomic.Bool); ok {
		noted.Store(true)
	}
}
