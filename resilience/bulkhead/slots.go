package bulkhead

import "github.com/observable-go/toolkit/internal/clock"

// begin takes a slot if one is free, and returns the state with it, or the one without.
func (b *Bulkhead) begin() (state, bool) {
	for {
		s := b.word.load()
		if !s.hasRoom() {
			return s, false
		}
		if b.word.change(s, s+oneInflight) {
			return s + oneInflight, true
		}
	}
}

// end gives a slot back, or hands it over to the first who waits. It does nothing if no
// slot is taken.
func (b *Bulkhead) end() {
	for {
		s := b.word.load()
		if s.waiting() > 0 {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.handOver()
			return
		}
		if s.inflight() == 0 || b.word.change(s, s-oneInflight) {
			return
		}
	}
}

// handOver is end under the mutex. A slot above a limit that was lowered is given up.
func (b *Bulkhead) handOver() {
	for {
		s := b.word.load()
		if s.waiting() > 0 && !s.over() {
			b.word.change(s, s-oneWaiting) // nobody else changes it now
			b.pace.handedOver(clock.Now(b.clock), s.limit())
			b.grantFirst()
			return
		}
		if s.inflight() == 0 || b.word.change(s, s-oneInflight) {
			return
		}
	}
}

// grantFirst wakes the first who waits, with a slot. The word says so already.
func (b *Bulkhead) grantFirst() {
	w := b.queue.first
	b.queue.remove(w)
	b.left()
	w.granted = true
	w.signal.Set()
}

// left notes that a call left the queue.
func (b *Bulkhead) left() {
	if b.queue.first == nil {
		b.pace = pace{}
	}
}

// setLimit changes the limit and lets those in for whom there is room now.
func (b *Bulkhead) setLimit(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		s := b.word.load()
		changed, begin := s.withLimit(n)
		if !b.word.change(s, changed) {
			continue
		}
		for range begin {
			b.grantFirst()
		}
		return
	}
}
