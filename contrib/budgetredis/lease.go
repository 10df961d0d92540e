package budgetredis

import (
	"sync/atomic"
	"time"
)

// A lease is tokens that were granted to this replica, to be spent until a time. The nil
// lease holds nothing.
type lease struct {
	tokens atomic.Int64
	until  time.Time // with a monotonic reading
	wall   time.Time // the same without: the monotonic clock stands still while a machine sleeps
}

func newLease(tokens int64, until time.Time) *lease {
	l := &lease{until: until, wall: until.Round(0)}
	l.tokens.Store(tokens)
	return l
}

func (l *lease) expired(now time.Time) bool {
	return !now.Before(l.until) || !now.Round(0).Before(l.wall)
}

func (l *lease) empty() bool { return l == nil || l.tokens.Load() == 0 }

// take takes a token, if there is one whose time has not passed.
func (l *lease) take(now time.Time) bool {
	if l.empty() || l.expired(now) {
		return false
	}
	for n := l.tokens.Load(); n > 0; n = l.tokens.Load() {
		if l.tokens.CompareAndSwap(n, n-1) {
			return true
		}
	}
	return false
}

// drain takes all tokens, so that nobody else can take them any more, and returns how many
// of them had not expired.
func (l *lease) drain(now time.Time) int64 {
	if l == nil {
		return 0
	}
	n := l.tokens.Swap(0)
	if l.expired(now) {
		return 0
	}
	return n
}

// left returns how many tokens can be taken now.
func (l *lease) left(now time.Time) int64 {
	if l == nil || l.expired(now) {
		return 0
	}
	return l.tokens.Load()
}

// leases are what a replica holds: an exchange adds a new lease, makes the newer one the
// older, and gives back what is left of that. They change as a pair, so that a withdrawal
// sees each lease once.
type leases struct{ older, newer *lease }

func (l *leases) empty() bool { return l.older.empty() && l.newer.empty() }

func (l *leases) take(now time.Time) bool { return l.older.take(now) || l.newer.take(now) }

func (l *leases) drain(now time.Time) int64 { return l.older.drain(now) + l.newer.drain(now) }

func (l *leases) left(now time.Time) int64 { return l.older.left(now) + l.newer.left(now) }
