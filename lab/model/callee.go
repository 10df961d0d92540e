package model

import (
	"context"
	"fmt"
	"time"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/lab/sim"
	"github.com/observable-go/toolkit/resilience"
)

// A CalleeConfig says how a callee serves.
type CalleeConfig struct {
	// Kind is queue, the default, or row.
	Kind string `json:"kind" yaml:"kind"`
	// Servers is how many requests each shard serves at a time: 1 to 100,000; 1 by default.
	Servers int `json:"servers" yaml:"servers"`
	// Shards is how many queues with servers of their own there are, among which requests are
	// spread evenly: 1 to 1,000; 1 by default.
	Shards int `json:"shards" yaml:"shards"`
	// Service is how long a request takes once a server has it.
	Service Distribution `json:"service" yaml:"service"`
	// Network is how long it takes to get there and back.
	Network Distribution `json:"network" yaml:"network"`
	// Queue is how many requests may wait for a server of a shard; the others are rejected.
	// 0, the default, is no limit.
	Queue int `json:"queue" yaml:"queue"`
	// Abandoned says what becomes of a request whose caller has gone: serve, the default, is
	// to do its work in vain; drop is to notice when its turn comes.
	Abandoned string `json:"abandoned" yaml:"abandoned"`
	// Slowdown is by how much each request that is being served makes a new one slower, as a
	// share of its time: 0 to 10; 0 by default.
	Slowdown float64 `json:"slowdown" yaml:"slowdown"`
	// Failures is the share of requests that fail after they were served: 0 to 1.
	Failures float64 `json:"failures" yaml:"failures"`
	// Throttle is how many requests a second are let in; the others are told to come later. 0,
	// the default, is no limit.
	Throttle float64 `json:"throttle" yaml:"throttle"`
	// RetryAfter is how long those are told to wait: 0s to 1h; with 0s, the default, they are only
	// told that they are too many.
	RetryAfter time.Duration `json:"retry_after" yaml:"retry_after"`
}

// What becomes of requests whose callers have gone.
const (
	Serve = "serve"
	Drop  = "drop"
)

// Validate reports the first field that is not allowed.
func (c *CalleeConfig) Validate(path string) error {
	switch {
	case c.Kind == Row:
		return c.validateRow(path)
	case c.Kind != "" && c.Kind != Queue:
		return notAllowed(path+".kind", c.Kind, "queue or row")
	case c.Servers < 0 || c.Servers > 100_000:
		return notAllowed(path+".servers", c.Servers, "1 to 100000")
	case c.Shards < 0 || c.Shards > 1000:
		return notAllowed(path+".shards", c.Shards, "1 to 1000")
	case c.Queue < 0:
		return notAllowed(path+".queue", c.Queue, "at least 0; 0 is no limit")
	case c.Abandoned != "" && c.Abandoned != Serve && c.Abandoned != Drop:
		return notAllowed(path+".abandoned", c.Abandoned, "serve or drop")
	case !(c.Slowdown >= 0 && c.Slowdown <= 10):
		return notAllowed(path+".slowdown", c.Slowdown, "0 to 10")
	case !(c.Failures >= 0 && c.Failures <= 1):
		return notAllowed(path+".failures", c.Failures, "0 to 1")
	case !(c.Throttle >= 0 && c.Throttle <= 1e9):
		return notAllowed(path+".throttle", c.Throttle, "0 to 1e9 requests a second; 0 is no limit")
	case c.RetryAfter < 0 || c.RetryAfter > maxRetryAfter:
		return notAllowed(path+".retry_after", c.RetryAfter, "0s to "+maxRetryAfter.String())
	}
	if err := c.Service.Validate(path + ".service"); err != nil {
		return err
	}
	return c.Network.Validate(path + ".network")
}

// Errors of a callee.
var (
	ErrFailed    = resilience.Retryable(&failure{"failed"})
	ErrOverload  = resilience.Retryable(&failure{"overloaded"})
	ErrThrottled = resilience.Retryable(&failure{"throttled"})
	ErrDown      = resilience.Retryable(&failure{"unavailable"})
)

type failure struct{ kind string }

func (f *failure) Error() string { return "the callee says: " + f.kind }

// ErrorType returns the name of the failure in telemetry.
func (f *failure) ErrorType() string { return f.kind }

// A Callee serves requests in a world.
type Callee struct {
	world  *sim.World
	config CalleeConfig
	faults []Fault
	shards []shard
	tokens float64 // of the throttle
	filled time.Duration
	idle   []*request

	version   int   // of the row
	throttled error // what those hear who are too many

	// Arrived counts all requests, Served those that were served, and Wasted those of them
	// whose caller had gone.
	Arrived, Served, Wasted int
}

type shard struct {
	busy    int
	waiting []*request
	first   int
}

// A request is on its way through a shard.
type request struct {
	callee *Callee
	shard  int
	ended  clock.Signal
	finish func()
	err    error
	done   bool // served, or rejected
	gone   bool // its caller does not wait any more
}

// NewCallee returns a callee. The config and the faults are valid.
func NewCallee(w *sim.World, config CalleeConfig, faults []Fault) *Callee {
	config.Servers, config.Shards = max(config.Servers, 1), max(config.Shards, 1)
	throttled := resilience.RetryAfter(ErrThrottled, config.RetryAfter)
	return &Callee{
		world: w, config: config, faults: faults, shards: make([]shard, config.Shards),
		tokens: config.Throttle, throttled: throttled,
	}
}

// Serve makes one request and waits for its answer, or until ctx ends.
func (c *Callee) Serve(ctx context.Context) error {
	if c.config.Kind == Row {
		return c.update(ctx)
	}
	if half := c.config.Network.Sample(c.world.Rand()) / 2; half > 0 {
		if err := c.world.Wait(ctx, half); err != nil {
			return err
		}
		err := c.serve(ctx)
		if ended := c.world.Wait(ctx, half); ended != nil {
			return ended
		}
		return err
	}
	return c.serve(ctx)
}

func (c *Callee) serve(ctx context.Context) error {
	c.Arrived++
	if !c.admits() {
		return c.throttled
	}
	n := 0
	if len(c.shards) > 1 {
		n = c.world.Rand().IntN(len(c.shards))
	}
	e := effects(c.faults, c.world.Elapsed(), n)
	if e.down {
		return ErrDown
	}
	s := &c.shards[n]
	if c.config.Queue > 0 && s.busy >= c.servers(&e) && len(s.waiting)-s.first >= c.config.Queue {
		return ErrOverload
	}
	r := c.newRequest(n)
	s.waiting = append(s.waiting, r)
	c.next(n, &e)
	r.ended.Wait(ctx, -1)
	if !r.done {
		r.gone = true
		return ctx.Err()
	}
	err := r.err
	c.idle = append(c.idle, r)
	return err
}

// admits takes a token of the throttle.
func (c *Callee) admits() bool {
	rate := c.config.Throttle
	if rate == 0 {
		return true
	}
	now := c.world.Elapsed()
	c.tokens = min(rate, c.tokens+rate*(now-c.filled).Seconds()) // a burst of a second
	c.filled = now
	if c.tokens < 1 {
		return false
	}
	c.tokens--
	return true
}

func (c *Callee) newRequest(shard int) *request {
	if n := len(c.idle); n > 0 {
		r := c.idle[n-1]
		c.idle = c.idle[:n-1]
		r.shard, r.err, r.done, r.gone = shard, nil, false, false
		return r
	}
	r := &request{callee: c, shard: shard, ended: c.world.NewSignal()}
	r.finish = r.served
	return r
}

// servers is how many servers work, of a shard.
func (c *Callee) servers(e *effect) int {
	return int(float64(c.config.Servers)*e.capacity + 0.5)
}

// next lets free servers take requests.
func (c *Callee) next(n int, e *effect) {
	s := &c.shards[n]
	for s.busy < c.servers(e) && s.first < len(s.waiting) {
		r := s.waiting[s.first]
		s.waiting[s.first] = nil
		s.first++
		if s.first == len(s.waiting) {
			s.waiting, s.first = s.waiting[:0], 0
		}
		if r.gone && c.config.Abandoned == Drop {
			c.idle = append(c.idle, r)
			continue
		}
		took := float64(c.config.Service.Sample(c.world.Rand())) * e.slow * (1 + c.config.Slowdown*float64(s.busy))
		s.busy++
		c.world.At(c.world.Elapsed()+time.Duration(took), r.finish)
	}
	if s.first > 1024 && s.first > len(s.waiting)/2 { // what was served takes no room
		kept := copy(s.waiting, s.waiting[s.first:])
		clear(s.waiting[kept:])
		s.waiting, s.first = s.waiting[:kept], 0
	}
}

// served ends the work on a request.
func (r *request) served() {
	c := r.callee
	c.shards[r.shard].busy--
	c.Served++
	e := effects(c.faults, c.world.Elapsed(), r.shard)
	if p := max(c.config.Failures, e.failures); p > 0 && c.world.Random() < p {
		r.err = ErrFailed
	}
	r.done = true
	if r.gone {
		c.Wasted++
		c.idle = append(c.idle, r)
	} else {
		r.ended.Set()
	}
	c.next(r.shard, &e)
}

// Waiting returns how many requests wait for a server.
func (c *Callee) Waiting() (n int) {
	for i := range c.shards {
		n += len(c.shards[i].waiting) - c.shards[i].first
	}
	return n
}

// Refresh lets servers work that a fault had kept from it. It is to be called when one ends.
func (c *Callee) Refresh() {
	for n := range c.shards {
		e := effects(c.faults, c.world.Elapsed(), n)
		c.next(n, &e)
	}
}

// checkShard reports a fault of a shard that the callee does not have.
func (c *CalleeConfig) checkShard(path string, f *Fault) error {
	if last := max(c.Shards, 1) - 1; f.Shard != nil && (*f.Shard < 0 || *f.Shard > last) {
		return notAllowed(path+".shard", *f.Shard, fmt.Sprintf("0 to %d", last))
	}
	return nil
}
