package sim

import (
	"context"
	"time"
)

// A node is what the world knows of a context that can end: who waits under it. The contexts
// themselves are those of package context, so that all that is derived from them ends too.
type node struct {
	world    *World
	parent   *node
	ctx      *worldContext
	children []*node // some of them have ended
	err      error   // of the context, once it has ended
	tasks    *task   // that wait
}

type nodeKey struct{}

// nodeOf returns the node of the nearest context of the world, or nil.
func nodeOf(ctx context.Context) *node {
	n, _ := ctx.Value(nodeKey{}).(*node)
	return n
}

// enter notes that a task is about to wait.
func (n *node) enter(t *task) {
	if n == nil {
		return
	}
	t.node, t.prev, t.succ = n, nil, n.tasks
	if n.tasks != nil {
		n.tasks.prev = t
	}
	n.tasks = t
}

// leave takes the task out of the list of its node.
func (t *task) leave() {
	n := t.node
	if n == nil {
		return
	}
	if t.prev != nil {
		t.prev.succ = t.succ
	} else {
		n.tasks = t.succ
	}
	if t.succ != nil {
		t.succ.prev = t.prev
	}
	t.node, t.prev, t.succ = nil, nil, nil
}

// A worldContext is a context that the world ends.
type worldContext struct {
	context.Context // is cancelled with the cause
	node            node
	cancel          context.CancelCauseFunc
	deadline        time.Time // none if zero
	cause           error     // of the deadline
}

func (c *worldContext) Value(key any) any {
	if key == (nodeKey{}) {
		return &c.node
	}
	return c.Context.Value(key)
}

func (c *worldContext) Deadline() (time.Time, bool) {
	if c.deadline.IsZero() {
		return c.Context.Deadline()
	}
	return c.deadline, true
}

// Err is that of the context within, which knows of no deadline.
func (c *worldContext) Err() error {
	if c.node.err != nil {
		return c.node.err
	}
	return c.Context.Err()
}

// WithCancelCause is context.WithCancelCause, and wakes who waits under the context.
func (w *World) WithCancelCause(parent context.Context) (context.Context, context.CancelCauseFunc) {
	c := w.newContext(parent)
	return c, func(cause error) { c.end(context.Canceled, cause) }
}

// WithTimeoutCause is context.WithTimeoutCause by the time of the world.
func (w *World) WithTimeoutCause(parent context.Context, d time.Duration, cause error) (context.Context, context.CancelFunc) {
	c := w.newContext(parent)
	deadline := w.Now().Add(d)
	if earlier, ok := parent.Deadline(); !ok || deadline.Before(earlier) {
		c.deadline, c.cause = deadline, cause
		switch {
		case c.Context.Err() != nil:
		case d <= 0:
			c.node.expire()
		default:
			w.events.push(event{at: w.now + d, node: &c.node})
		}
	}
	return c, func() { c.end(context.Canceled, nil) }
}

func (w *World) newContext(parent context.Context) *worldContext {
	c := &worldContext{}
	c.Context, c.cancel = context.WithCancelCause(parent)
	above := nodeOf(parent)
	if above == nil {
		above = &w.root
	}
	c.node = node{world: w, parent: above, ctx: c}
	above.adopt(&c.node)
	return c
}

// adopt adds a child. Those that have ended are swept now and then.
func (n *node) adopt(child *node) {
	if n.parent == nil {
		return // the root never ends
	}
	if len(n.children) == cap(n.children) {
		kept := n.children[:0]
		for _, c := range n.children {
			if c.err == nil {
				kept = append(kept, c)
			}
		}
		clear(n.children[len(kept):])
		n.children = kept
	}
	n.children = append(n.children, child)
}

// expire ends the context by its deadline.
func (n *node) expire() { n.ctx.end(context.DeadlineExceeded, n.ctx.cause) }

// end cancels the context and wakes who waits under it, unless it has ended.
func (c *worldContext) end(err, cause error) {
	if c.Err() != nil {
		return
	}
	if cause == nil {
		cause = err
	}
	c.node.end(err)
	c.cancel(cause)
	c.node.wake()
}

// end notes the error, here and below: that of the first that ended.
func (n *node) end(err error) {
	n.err = err
	for _, child := range n.children {
		if child.ctx.Err() == nil {
			child.end(err)
		}
	}
}

// wake wakes who waits, here and below.
func (n *node) wake() {
	for n.tasks != nil {
		t := n.tasks
		if !t.wake(t.wait) {
			t.leave()
		}
	}
	for _, child := range n.children {
		child.wake()
	}
	n.children = nil
}
