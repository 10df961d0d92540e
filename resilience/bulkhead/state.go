package bulkhead

import "sync/atomic"

// state is all that decides whether a call may begin, in one word, so that one
// compare-and-swap decides it: how many calls are under way, how many wait, and the
// limit. Each takes 20 bits, as none is above MaxLimit or MaxQueue, a million.
//
// At every instant calls wait only while inflight is at the limit or above: there is never
// room for somebody who would pass them. And while calls wait, the word is changed only
// under the mutex of the bulkhead.
type state uint64

const (
	bits         = 20
	field        = 1<<bits - 1
	oneInflight  = state(1)
	oneWaiting   = state(1) << bits
	limitAt      = 2 * bits
	withoutLimit = state(1)<<limitAt - 1
)

// newState returns the state of an idle bulkhead.
func newState(limit int) state { return state(limit) << limitAt }

func (s state) inflight() int { return int(s & field) }
func (s state) waiting() int  { return int(s >> bits & field) }
func (s state) limit() int    { return int(s >> limitAt) }
func (s state) over() bool    { return s.inflight() > s.limit() }
func (s state) hasRoom() bool { return s.inflight() < s.limit() }

// withLimit returns the state under another limit, and how many of those who wait begin
// by that.
func (s state) withLimit(n int) (changed state, begin int) {
	begin = min(s.waiting(), max(0, n-s.inflight()))
	return (s&withoutLimit | newState(n)) + state(begin)*oneInflight - state(begin)*oneWaiting, begin
}

// word is a state that goroutines share.
type word struct{ atomic.Uint64 }

func (w *word) load() state                { return state(w.Load()) }
func (w *word) change(from, to state) bool { return w.CompareAndSwap(uint64(from), uint64(to)) }
