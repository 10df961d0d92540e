package budgetredis_test

// A held is tokens that a replica may spend until a time. All times are in microseconds.
type held struct{ tokens, until int64 }

func (h *held) left(now int64) int64 {
	if now >= h.until {
		return 0
	}
	return h.tokens
}

// A letter is a request of a replica as the reference sees it.
type letter struct {
	ask
	from     *reference
	began    int64
	rest     int64 // of returned, what it held and did not spend: the remainder are refunds
	executed bool
	granted  int64 // the most that an answer to it may bring
}

// A reply is on its way from Redis to a replica.
type reply struct {
	to              *letter
	granted, server int64
}

// A reference is a replica as simple as can be.
type reference struct {
	id                               string
	sequence                         int64
	pending                          *letter
	older, newer                     held
	demand, deposits, refunds, spent int64
	shared                           bool
	latest, server, heard            int64
}

func (r *reference) overdue(w *world) bool { return w.now >= r.latest+w.lease() }

func (r *reference) forget() { r.older, r.newer, r.deposits, r.refunds = held{}, held{}, 0, 0 }

func (r *reference) numbered(w *world) *letter {
	r.sequence++
	l := &letter{from: r, began: w.now, ask: ask{id: r.id, sequence: r.sequence, deposits: r.deposits, returned: r.refunds}}
	r.deposits, r.refunds = 0, 0
	if r.heard > 0 {
		l.stamp = r.server + w.now - r.heard
	}
	return l
}

func (l *letter) giveBack(tokens int64) {
	l.rest += tokens
	l.returned += tokens
}

// send sends a new request, or the one that was not answered once more.
func (r *reference) send(w *world) {
	if r.pending == nil {
		if r.overdue(w) {
			r.forget()
		}
		l := r.numbered(w)
		l.giveBack(r.older.left(w.now))
		r.older, r.newer = r.newer, held{}
		l.kept = r.older.left(w.now)
		if r.demand == 0 {
			l.keep = (w.settings.burst + 1) / 2
		}
		l.wanted = max(0, min(max(2*r.demand, 1), w.batch)-l.kept)
		r.demand = 0
		r.pending = l
	}
	w.letters = append(w.letters, r.pending)
}

// leave gives everything back, and the replica is gone.
func (r *reference) leave(w *world) {
	if r.pending == nil && r.shared && !r.overdue(w) {
		l := r.numbered(w)
		l.giveBack(r.older.left(w.now) + r.newer.left(w.now))
		l.leaving = true
		w.letters = append(w.letters, l)
	}
}

func (r *reference) withdraw(w *world) {
	if !r.shared {
		return
	}
	for _, h := range []*held{&r.older, &r.newer} {
		if h.left(w.now) > 0 {
			h.tokens--
			r.spent++
			w.spent++
			return
		}
	}
}

func (r *reference) refund(w *world) {
	if r.shared && r.spent > 0 {
		r.spent--
		r.refunds++
		w.refunded++
	}
}

// answer gives a replica what came back, if it waits for it.
func (w *world) answer(a reply) {
	r, l := a.to.from, a.to
	if r.pending != l {
		return
	}
	r.pending, r.server, r.heard = nil, a.server, w.now
	if until := l.began + w.lease(); w.now < until {
		r.latest, r.newer, r.shared = l.began, held{a.granted, until}, true
	}
	r.giveUp(w)
}

// giveUp leaves the shared mode if there was no exchange for a lease.
func (r *reference) giveUp(w *world) {
	if r.overdue(w) {
		r.shared = false
		r.forget()
	}
}
