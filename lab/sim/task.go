package sim

import (
	"iter"
	"time"
)

// A task is a coroutine: it runs until it waits, and goes on where it was. One that has ended
// runs the next function that is to run.
type task struct {
	world   *World
	f       func()
	next    func() (struct{}, bool)
	stop    func()
	yield   func(struct{}) bool
	wait    uint64 // the number of the wait that it is in, or that was the latest
	waiting bool
	// In the list of a context that ends its wait.
	node       *node
	prev, succ *task
}

// Go runs f as a task, after those that are about to run.
func (w *World) Go(f func()) {
	var t *task
	if n := len(w.idle); n > 0 {
		t = w.idle[n-1]
		w.idle = w.idle[:n-1]
	} else {
		t = &task{world: w}
		t.next, t.stop = iter.Pull(t.run)
		w.all = append(w.all, t)
	}
	t.f = f
	w.ready.push(t)
}

// run is the coroutine.
func (t *task) run(yield func(struct{}) bool) {
	defer func() {
		if t.world.closed {
			_ = recover() // it is errEnded, or what the code made of it
		}
	}()
	t.yield = yield
	for {
		t.f()
		t.f = nil
		t.world.idle = append(t.world.idle, t)
		if !yield(struct{}{}) {
			return
		}
	}
}

// resume lets a task go on until it waits.
func (w *World) resume(t *task) {
	w.task = t
	t.next()
	w.task = nil
}

// block lets everything else go on until the task that runs is woken.
func (w *World) block() {
	t := w.task
	if t == nil {
		panic("sim: only a task can wait")
	}
	t.waiting = true
	if !t.yield(struct{}{}) {
		panic(errEnded)
	}
}

// wakeAfter wakes the task that is about to block after d.
func (w *World) wakeAfter(t *task, d time.Duration) {
	w.events.push(event{at: w.now + d, task: t, wait: t.wait})
}

// wake lets the task go on if it is still in that wait.
func (t *task) wake(wait uint64) bool {
	if !t.waiting || t.wait != wait {
		return false
	}
	t.waiting = false
	t.wait++
	t.leave()
	t.world.ready.push(t)
	return true
}

// Sleep waits for d, whatever happens.
func (w *World) Sleep(d time.Duration) {
	t := w.task
	w.wakeAfter(t, max(d, 0))
	w.block()
}
