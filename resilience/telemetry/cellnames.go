package telemetry

import (
	"slices"
	"sync"
	"sync/atomic"
)

// maxShown is how many names of a kind the debug page tells apart under one meter
// provider. Metrics tell apart [MaxNames] of them.
const maxShown = 2000

// names holds cells by name. Metrics report the first [MaxNames] of them; what is beyond
// has cells of its own, which also count in those of Other, so that the debug page shows
// every name. Beyond maxShown names share cells.
type names[C any] struct {
	// make makes the cells of a name. They also count in other, if that is not nil.
	make   func(name string, other *C) *C
	mu     sync.Mutex
	byName map[string]named[C]
	other  *C
	// In the order of their appearance, replaced when a name appears: readers go on with
	// the slice that they have.
	inMetrics, onPage atomic.Pointer[[]*C]
}

type named[C any] struct {
	cells *C
	own   bool
}

// get returns the cells of a name, and whether metrics report them under that name.
func (n *names[C]) get(name string) (cells *C, own bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if c, ok := n.byName[name]; ok {
		return c.cells, c.own
	}
	own = len(n.byName) < MaxNames && name != Other
	if !own && n.other == nil {
		n.other = n.make(Other, nil)
		add(&n.inMetrics, n.other)
	}
	if len(n.byName) >= maxShown {
		name = Other
		if c, ok := n.byName[name]; ok {
			return c.cells, false
		}
	}
	if n.byName == nil {
		n.byName = make(map[string]named[C])
	}
	if own {
		cells = n.make(name, nil)
		add(&n.inMetrics, cells)
	} else {
		cells = n.make(name, n.other)
	}
	add(&n.onPage, cells)
	n.byName[name] = named[C]{cells, own}
	return cells, own
}

func add[C any](list *atomic.Pointer[[]*C], cells *C) {
	longer := append(slices.Clone(all(list)), cells)
	list.Store(&longer)
}

func all[C any](list *atomic.Pointer[[]*C]) []*C {
	if l := list.Load(); l != nil {
		return *l
	}
	return nil
}

// reported returns the cells that metrics report.
func (n *names[C]) reported() []*C { return all(&n.inMetrics) }

// shown returns the cells that the debug page shows.
func (n *names[C]) shown() []*C { return all(&n.onPage) }
