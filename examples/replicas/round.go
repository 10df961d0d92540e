package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"time"
)

// A result is what came of a round.
type result struct {
	kind     kind
	log      calleeLog
	accounts []account // of replica 1, 2 and so on
	changes  []change  // of the modes of their budgets
	began    time.Time
	killed   time.Time     // redis-server; zero: it was not
	outage   time.Duration // that was, which is not less than what was wanted
}

// A course is what all rounds have in common.
type course struct {
	options

	redis  string // its address
	keeper *child // of our own redis-server, or nil
	out    io.Writer
	errs   io.Writer
}

// openCourse finds or starts a Redis.
func openCourse(ctx context.Context, o options, out, errs io.Writer) (*course, error) {
	addr, keeper, err := openRedis(ctx, o.redis, errs)
	if err != nil {
		return nil, err
	}
	return &course{options: o, redis: addr, keeper: keeper, out: out, errs: errs}, nil
}

// close kills redis-server, if it is our own and still there.
func (c *course) close() {
	if c.keeper != nil {
		c.keeper.end(5 * time.Second)
		c.keeper = nil
	}
}

// round starts a callee and replicas, and takes them through the phases.
func (c *course) round(ctx context.Context, k kind) (result, error) {
	var total time.Duration
	for _, d := range c.times {
		total += d
	}
	callee, err := startCallee(c.replicas, total)
	if err != nil {
		return result{}, err
	}
	defer callee.close()
	a := assignment{Replicas: c.replicas, Rate: c.rate, Callee: callee.url}
	if k != local {
		a.Redis, a.Local = c.redis, k == killed && c.local
		a.KeyPrefix = "resilience:budget:" + rand.Text() + ":" // nothing is left from another run
	}
	f, err := startFleet(ctx, a, c.errs)
	if err != nil {
		return result{}, err
	}
	defer f.end()

	r := result{kind: k, began: time.Now()}
	callee.begin()
	f.start()
	for p := range numPhases {
		fmt.Fprintf(c.out, "%s%s %v", []string{"  ", ", ", ", "}[p], p, c.times[p])
		began := time.Now()
		callee.turn(p)
		if err := c.pass(ctx, p, &r); err != nil {
			return result{}, err
		}
		if p == outage {
			r.outage = time.Since(began)
		}
	}
	fmt.Fprintln(c.out)
	r.accounts, r.changes, err = f.stop(ctx)
	r.log = callee.counted()
	return r, err
}

// pass lets the time of a phase pass. In the round that is about it, redis-server is killed when a
// fifth of the outage is over.
func (c *course) pass(ctx context.Context, p phase, r *result) error {
	d := c.times[p]
	if p == outage && r.kind == killed {
		if err := sleep(ctx, d/5); err != nil {
			return err
		}
		c.close()
		r.killed = time.Now()
		fmt.Fprint(c.out, " (redis-server is killed)")
		d -= d / 5
	}
	return sleep(ctx, d)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
