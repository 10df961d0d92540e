// Replicas shows what an outage does to a callee whose clients each have a retry budget of their
// own, and what it does if they share one on Redis:
//
//	go run ./examples/replicas
//
// It needs the program redis-server, of which it starts one, or the address of a Redis with -redis,
// such as -redis localhost:6379. It takes half a minute, and first says how long.
//
// One process is the callee, an HTTP server on loopback. Others, 20 by default, are the replicas of
// a service that calls it. In the middle of each round the callee fails all requests. In round 1
// every replica has a budget of its own, in round 2 all share one of the same settings. With
// -kill-redis there is a round 3, in which redis-server is killed during the outage; with -local too
// a budget of its own, of a replica's share, then decides in each replica.
//
// The figures are what the callee has counted. The exit code is 1 if the replicas have counted
// anything else.
//
// Where to read first: caller.go is the code to take home. round.go has the course of a round.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if runRole() {
		return
	}
	o, err := parse(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, "replicas:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // so that a second Ctrl-C kills
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "replicas:", err)
		os.Exit(1)
	}
}
