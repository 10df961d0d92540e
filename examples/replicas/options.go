package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"time"
)

// Bounds of the flags. That of all calls is what a machine of two processors bears, as an outage
// makes four requests of each call while there are tokens.
const (
	maxReplicas = 200
	maxRate     = 100
	maxCalls    = 400 // a second, of all replicas together
	minOutage   = time.Second
	maxOutage   = time.Minute
	// minKilledOutage leaves time for the leases to expire, and to see what comes after.
	minKilledOutage = 4 * time.Second
)

// options are the flags, and the times of a round that only tests change.
type options struct {
	replicas  int
	rate      int // calls a second of each replica
	redis     string
	killRedis bool
	local     bool
	times     [numPhases]time.Duration
}

// parse returns the options of a command line. An error names the flag and what is allowed.
func parse(args []string, out io.Writer) (options, error) {
	o := options{times: [numPhases]time.Duration{calm: 5 * time.Second, recovered: 3 * time.Second}}
	flags := flag.NewFlagSet("replicas", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.IntVar(&o.replicas, "replicas", 20, "`number` of processes that call the callee, from 1 to 200")
	flags.IntVar(&o.rate, "rate", 10, "`calls` a second of each replica, from 1 to 100")
	flags.DurationVar(&o.times[outage], "outage", 5*time.Second, "`time` for which all requests of a round fail, from 1s to 1m")
	flags.StringVar(&o.redis, "redis", "", "`address` of a Redis to use, such as localhost:6379; without, a redis-server is started")
	flags.BoolVar(&o.killRedis, "kill-redis", false, "add a round in which redis-server is killed during the outage")
	flags.BoolVar(&o.local, "local", false, "with -kill-redis: go on with a local budget of a replica's share, in place of no retries")
	flags.Usage = func() {} // an error stands alone, where it is seen
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintln(out, "Usage: replicas [flags]")
		flags.SetOutput(out)
		flags.PrintDefaults()
		return o, err
	case err != nil:
		return o, fmt.Errorf("%w: see -help", err)
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("%q is not allowed: want flags only, see -help", flags.Arg(0))
	}
	return o, o.validate()
}

func (o options) validate() error {
	if o.replicas < 1 || o.replicas > maxReplicas {
		return notAllowed("replicas", o.replicas, fmt.Sprintf("1 to %d", maxReplicas))
	}
	if o.rate < 1 || o.rate > maxRate {
		return notAllowed("rate", o.rate, fmt.Sprintf("1 to %d calls a second", maxRate))
	}
	if o.replicas*o.rate > maxCalls {
		return notAllowed("rate", o.rate, fmt.Sprintf("1 to %d calls a second with -replicas %d, as that is %d of all, and %d are the most",
			maxCalls/o.replicas, o.replicas, maxCalls/o.replicas*o.replicas, maxCalls))
	}
	if d := o.times[outage]; d < minOutage || d > maxOutage {
		return notAllowed("outage", d, fmt.Sprintf("%v to %v", minOutage, maxOutage))
	}
	if d := o.times[outage]; o.killRedis && d < minKilledOutage {
		return notAllowed("outage", d, fmt.Sprintf("%v to %v with -kill-redis, as leases expire after %v", minKilledOutage, maxOutage, lease))
	}
	if o.redis != "" {
		if host, port, err := net.SplitHostPort(o.redis); err != nil || host == "" || port == "" {
			return notAllowed("redis", o.redis, "a host and a port, such as localhost:6379")
		}
		if o.killRedis {
			return notAllowed("kill-redis", true, "it without -redis, as only a redis-server of its own is killed")
		}
	}
	if o.local && !o.killRedis {
		return notAllowed("local", true, "it with -kill-redis, as it is for a Redis that is gone")
	}
	return nil
}

func notAllowed(flag string, value any, want string) error {
	return fmt.Errorf("-%s: %v is not allowed: want %s", flag, value, want)
}

// rounds returns what is compared.
func (o options) rounds() []kind {
	if o.killRedis {
		return []kind{local, shared, killed}
	}
	return []kind{local, shared}
}

// lasts returns how long the rounds take.
func (o options) lasts() time.Duration {
	var sum time.Duration
	for _, d := range o.times {
		sum += d
	}
	return sum * time.Duration(len(o.rounds()))
}
