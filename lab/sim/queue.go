package sim

import "time"

// An event happens at a time: a function runs, a context expires, or a task goes on if it is
// still in that wait.
type event struct {
	at     time.Duration
	number uint64 // events of one time happen in the order in which they were made
	f      func()
	node   *node
	task   *task
	wait   uint64
}

func (e *event) before(o *event) bool {
	return e.at < o.at || e.at == o.at && e.number < o.number
}

// A queue is a heap of events of which each parent has four children: there are fewer levels
// than with two.
type queue struct {
	heap []event
	made uint64
}

func (q *queue) len() int { return len(q.heap) }

func (q *queue) first() *event { return &q.heap[0] }

func (q *queue) push(e event) {
	q.made++
	e.number = q.made
	i := len(q.heap)
	q.heap = append(q.heap, event{})
	for i > 0 {
		parent := (i - 1) / 4
		if !e.before(&q.heap[parent]) {
			break
		}
		q.heap[i] = q.heap[parent]
		i = parent
	}
	q.heap[i] = e
}

func (q *queue) pop() event {
	first, n := q.heap[0], len(q.heap)-1
	last := q.heap[n]
	q.heap[n] = event{}
	q.heap = q.heap[:n]
	if n == 0 {
		return first
	}
	i := 0
	for {
		least := 4*i + 1
		if least >= n {
			break
		}
		for child := least + 1; child < min(4*i+5, n); child++ {
			if q.heap[child].before(&q.heap[least]) {
				least = child
			}
		}
		if !q.heap[least].before(&last) {
			break
		}
		q.heap[i] = q.heap[least]
		i = least
	}
	q.heap[i] = last
	return first
}

// A fifo is a queue of tasks in a ring, whose size is a power of two.
type fifo struct {
	ring        []*task
	first, size int
}

func (f *fifo) len() int { return f.size }

func (f *fifo) push(t *task) {
	if f.size == len(f.ring) {
		grown := make([]*task, max(16, 2*len(f.ring)))
		for i := range f.size {
			grown[i] = f.ring[(f.first+i)&(len(f.ring)-1)]
		}
		f.ring, f.first = grown, 0
	}
	f.ring[(f.first+f.size)&(len(f.ring)-1)] = t
	f.size++
}

func (f *fifo) pop() *task {
	t := f.ring[f.first]
	f.ring[f.first] = nil
	f.first = (f.first + 1) & (len(f.ring) - 1)
	f.size--
	return t
}
