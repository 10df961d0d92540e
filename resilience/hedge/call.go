package hedge

import (
	"context"
	"sync"
	"time"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// call is one call of a hedge: the race of the copies of its operation. The goroutine of
// the caller starts them and waits; each copy hands in its result.
type call[T any] struct {
	hedge   *Hedge
	ctx     context.Context // the caller's
	op      func(context.Context) (T, error)
	discard func(T)
	signal  clock.Signal // set when there may be something to look at

	// Only the goroutine of the caller uses these.
	delay     time.Duration
	measuring bool // the call is the one that measures
	sent      int  // copies that were started
	cancels   [MaxCopies]context.CancelCauseFunc
	winner    int  // the copy that succeeded in time, or 0
	handedOn  bool // the result has come to the caller

	mu      sync.Mutex
	over    bool      // the call is decided, or the caller has left: further results are lost
	running int       // copies that have not handed in a result
	result  result[T] // that decided, or the latest failure
}

// result is what came of one copy.
type result[T any] struct {
	number     int // of the copy, from 1; 0 is no result
	value      T
	err        error
	conclusive bool // it decides the call
	asked      bool // the callee was asked
	panicked   any  // what the copy panicked with
}

// run makes the call.
func (c *call[T]) run() (T, error) {
	h := c.hedge
	h.credit.earn()
	c.signal = clock.NewSignal(h.clock)
	c.measuring = h.adaptive != nil && h.adaptive.measure()
	c.delay = h.Delay()
	defer c.leave()
	c.running = 1
	c.start()
	wait := c.delay
	var due time.Time // when the next copy is to start, once there are several
	for {
		wake := c.signal.Wait(c.ctx, wait)
		switch {
		case wake == clock.WakeElapsed:
			c.late()
			wait = -1
			if c.another() && c.sent < h.copies {
				wait, due = c.delay, clock.Now(h.clock).Add(c.delay)
			}
		case c.sent > 1 && wait >= 0: // one has failed: the wait goes on
			wait = max(0, -clock.Since(h.clock, due))
		}
		if r, ok := c.look(wake == clock.WakeDone); ok {
			return c.finish(&r)
		}
	}
}

// start starts the next copy, which counts as running already.
func (c *call[T]) start() {
	c.sent++
	number, ctx := c.sent, c.ctx
	if number > 1 {
		ctx = resilience.WithAttempt(ctx, resilience.Attempt{Policy: c.hedge.name, Number: number, Max: c.hedge.copies})
	}
	limited, cancel := clock.WithCancelCause(ctx, c.hedge.clock)
	c.cancels[number-1] = cancel
	scoped, end := resilience.Scope(c.ctx, limited)
	clock.Go(c.hedge.clock, func() { c.copy(scoped, number, end) })
}

// another starts another copy if it is granted and can still win.
func (c *call[T]) another() bool {
	h := c.hedge
	if !h.withdraw() {
		h.tel.HedgeDenied(c.ctx)
		return false
	}
	c.mu.Lock()
	wanted := !c.over && c.running > 0 && c.ctx.Err() == nil
	if wanted {
		c.running++
	}
	c.mu.Unlock()
	if !wanted {
		h.refund()
		return false
	}
	h.tel.HedgeSent(c.ctx, c.sent+1, c.delay)
	c.start()
	return true
}

// copy runs one copy of the operation. It must be the goroutine's outermost function.
func (c *call[T]) copy(ctx context.Context, number int, end func()) {
	r := result[T]{number: number, err: errGoexit, asked: true}
	returned := false
	defer func() {
		if !returned { // nil after a runtime.Goexit
			r.panicked = recover()
			r.conclusive = r.panicked != nil
		}
		end()
		c.handIn(&r)
	}()
	r.value, r.err = c.op(ctx)
	r.conclusive = c.hedge.conclusive(r.err)
	if _, r.asked = resilience.CalleeError(r.err); !r.asked && number > 1 {
		c.hedge.refundUnsent()
	}
	returned = true
}

// handIn hands in the result of a copy, or disposes of it if nobody wants it any more.
func (c *call[T]) handIn(r *result[T]) {
	c.mu.Lock()
	lost := c.over
	if !lost {
		c.running--
		c.over = r.conclusive
		if r.conclusive || r.asked || !c.result.asked { // what the callee said stands before what was not sent
			c.result = *r
		}
	}
	c.mu.Unlock()
	if lost {
		c.lose(r)
		return
	}
	c.signal.Set()
}

// lose disposes of a result that nobody gets. A panic goes no further: in the goroutine of
// the copy it would end the program.
func (c *call[T]) lose(r *result[T]) {
	defer func() {
		if r.panicked == nil {
			r.panicked = recover() // of discard
		}
		if r.panicked != nil {
			c.hedge.tel.CopyPanicked(c.ctx, r.number, r.panicked)
		}
	}()
	if r.panicked == nil && r.err == nil && c.discard != nil {
		c.discard(r.value)
	}
}

// look returns the result of the call, if it has one or if the context is done: in that
// case there may be none in it.
func (c *call[T]) look(done bool) (r result[T], ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.over && c.running > 0 && !done {
		return r, false
	}
	c.over = true
	return c.result, true
}

// finish ends the call with r.
func (c *call[T]) finish(r *result[T]) (T, error) {
	h, err := c.hedge, r.err
	switch {
	case r.panicked != nil:
		h.tel.Count(telemetry.ResultPanic)
		c.handedOn = true
		panic(r.panicked)
	case r.number == 0 || err != nil && c.ctx.Err() != nil:
		h.tel.Count(telemetry.ResultCanceled)
		err = h.contextError(c.ctx, err)
	case !r.conclusive:
		h.tel.Count(telemetry.ResultFailed)
	case r.number == 1:
		c.inTime()
		h.tel.Count(telemetry.ResultPrimary)
	default:
		h.tel.HedgeWon(c.ctx, r.number)
	}
	if err == nil {
		c.winner = r.number
	}
	c.handedOn = true
	return r.value, err
}

// leave is the last that the caller does, also if it panics: as by a budget.
func (c *call[T]) leave() {
	if c.measuring {
		c.hedge.adaptive.nothing()
	}
	c.mu.Lock()
	c.over = true
	r := c.result
	c.result = result[T]{} // copies that run on do not keep the value
	c.mu.Unlock()
	for i, cancel := range c.cancels[:c.sent] {
		switch {
		case i+1 != c.winner:
			cancel(ErrLost)
		case c.discard == nil:
			cancel(nil)
		}
	}
	if !c.handedOn && r.number > 0 {
		c.lose(&r)
	}
}

// late tells the adaptive delay that it has passed, if this call measures.
func (c *call[T]) late() {
	if c.measuring {
		c.measuring = false
		c.hedge.adaptive.late()
	}
}

// inTime tells the adaptive delay that the first copy was faster, if this call measures.
func (c *call[T]) inTime() {
	if c.measuring {
		c.measuring = false
		c.hedge.adaptive.inTime()
	}
}
