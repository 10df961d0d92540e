// Package scenario runs what a file says: callers with policies of this toolkit, a callee and
// its faults, in a [sim.World], and measures what comes of it.
package scenario
