package model

import (
	"context"
	"time"

	"github.com/observable-go/toolkit/resilience"
)

// Kinds of callees.
const (
	// Queue has servers, before which requests wait.
	Queue = "queue"
	// Row is one row of a database that clients update by optimistic concurrency: each request
	// reads its version and writes with it, and fails if somebody else wrote in between. It has
	// a network, and no servers that could be busy.
	Row = "row"
)

// ErrConflict is that somebody else wrote the row.
var ErrConflict = resilience.Retryable(&failure{"conflict"})

// update reads the row and writes it: there and back twice.
func (c *Callee) update(ctx context.Context) error {
	if err := c.oneWay(ctx); err != nil {
		return err
	}
	read := c.version
	for range 2 { // the version comes back, and the write goes there
		if err := c.oneWay(ctx); err != nil {
			return err
		}
	}
	c.Arrived++
	won := c.version == read
	if won {
		c.version++
		c.Served++
	}
	if err := c.oneWay(ctx); err != nil {
		return err
	}
	if !won {
		return ErrConflict
	}
	return nil
}

// oneWay takes as long as the network needs for one of the two ways.
func (c *Callee) oneWay(ctx context.Context) error {
	return c.world.Wait(ctx, c.config.Network.Sample(c.world.Rand())/2)
}

// validateRow reports a field that a row does not have.
func (c *CalleeConfig) validateRow(path string) error {
	network, kind := c.Network, c.Kind
	rest := *c
	rest.Network, rest.Kind = Distribution{}, ""
	if rest != (CalleeConfig{}) {
		return notAllowed(path+".kind", kind, "queue, if there is more to say of it than its network")
	}
	return network.Validate(path + ".network")
}

const maxRetryAfter = time.Hour
