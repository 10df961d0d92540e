package sim

import (
	"errors"
	"math/rand/v2"
	"time"
)

// Epoch is the time at which every world begins.
var Epoch = time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)

// errEnded unwinds the tasks that wait when their world is closed.
var errEnded = errors.New("sim: the world has ended")

// A World is a set of tasks with a clock of their own. It is used by one goroutine at a time,
// and its methods by its own tasks. Close frees what its tasks hold.
type World struct {
	now    time.Duration // since the Epoch
	events queue
	ready  fifo
	idle   []*task // have ended, and can run something else
	all    []*task
	task   *task // runs now
	root   node
	source *rand.PCG
	random *rand.Rand
	closed bool
}

// New returns a world whose random numbers come from the seed.
func New(seed uint64) *World {
	source := rand.NewPCG(seed, 0x9e3779b97f4a7c15)
	w := &World{source: source, random: rand.New(source)} //nolint:gosec // chance that can be repeated
	w.root.world = w
	return w
}

// Elapsed returns the time since the world began.
func (w *World) Elapsed() time.Duration { return w.now }

// Rand returns the random numbers of the world.
func (w *World) Rand() *rand.Rand { return w.random }

// At runs f at a time since the world began, or now if that has passed. It must not wait.
func (w *World) At(at time.Duration, f func()) {
	w.events.push(event{at: max(at, w.now), f: f})
}

// Run runs all that happens until a time since the world began. What waits then goes on in the
// next Run. A panic of a task is one of Run.
func (w *World) Run(until time.Duration) {
	for {
		for w.ready.len() > 0 {
			w.resume(w.ready.pop())
		}
		if w.events.len() == 0 || w.events.first().at > until {
			w.now = max(w.now, until)
			return
		}
		e := w.events.pop()
		w.now = e.at
		switch {
		case e.f != nil:
			e.f()
		case e.node != nil:
			e.node.expire()
		default:
			e.task.wake(e.wait)
		}
	}
}

// Close ends all tasks that wait. The world is not to be used any more.
func (w *World) Close() {
	if w.closed {
		return
	}
	w.closed = true
	for _, t := range w.all {
		t.stop()
	}
	*w = World{closed: true}
}
