// Package model is what a laboratory has in place of a service: callees that serve requests in
// a [sim.World], and the times at which callers come.
package model
