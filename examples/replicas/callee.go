package main

import (
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	// replicaHeader says which replica sent a request.
	replicaHeader = "X-Replica"
	// previousAttempts is a header that package retryhttp gives to retries only.
	previousAttempts = "Previous-Attempts"
)

// A load is how many calls came to the callee, and how many retries besides.
type load struct{ calls, retries int }

func (l load) requests() int { return l.calls + l.retries }

// relative returns how many requests a call comes to.
func (l load) relative() float64 { return float64(l.requests()) / float64(l.calls) }

func (l load) plus(other load) load { return load{l.calls + other.calls, l.retries + other.retries} }

// A calleeLog is what the callee counted in a round.
type calleeLog struct {
	seconds  []second
	replicas []load // by number, from 1 on
	unknown  int    // requests of nobody
}

// A second is the load of a second by the phase of the callee. Only one in which the phase
// changed has several.
type second [numPhases]load

func (s second) load() load {
	var sum load
	for _, l := range s {
		sum = sum.plus(l)
	}
	return sum
}

// phase returns the phase that most of the calls saw.
func (s second) phase() phase {
	most := calm
	for p, l := range s {
		if l.calls > s[most].calls {
			most = phase(p)
		}
	}
	return most
}

// in returns the load of a phase.
func (l calleeLog) in(p phase) load {
	var sum load
	for _, s := range l.seconds {
		sum = sum.plus(s[p])
	}
	return sum
}

func (l calleeLog) total() load {
	var sum load
	for p := range numPhases {
		sum = sum.plus(l.in(p))
	}
	return sum
}

// second returns the i-th second, which may be after the last request.
func (l calleeLog) second(i int) second {
	if i >= len(l.seconds) {
		return second{}
	}
	return l.seconds[i]
}

// peak returns the second with most requests.
func (l calleeLog) peak() load {
	var most load
	for _, s := range l.seconds {
		if s.load().requests() > most.requests() {
			most = s.load()
		}
	}
	return most
}

// A callee is an HTTP server that fails all requests during an outage, and keeps a log.
type callee struct {
	url    string
	server *http.Server

	lasts time.Duration // the round

	mu    sync.Mutex
	began time.Time
	phase phase
	log   calleeLog
}

// lateness is how long after the end of a round a request counts in its last second: a replica hears
// of the end a little later.
const lateness = 200 * time.Millisecond

// startCallee starts a callee of that many replicas, on a free port, for a round that lasts so long.
func startCallee(replicas int, lasts time.Duration) (*callee, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &callee{
		url:   "http://" + listener.Addr().String(),
		lasts: lasts,
		began: time.Now(),
		log:   calleeLog{replicas: make([]load, replicas+1)},
	}
	c.server = &http.Server{Handler: c, ReadHeaderTimeout: time.Minute}
	go func() { _ = c.server.Serve(listener) }()
	return c, nil
}

// counted returns what the callee counted until now.
func (c *callee) counted() calleeLog {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.log
}

func (c *callee) close() { _ = c.server.Close() }

func (c *callee) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if c.record(r) == outage {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// record notes a request, and returns the phase in which it came.
func (c *callee) record(r *http.Request) phase {
	one := load{calls: 1}
	if r.Header.Get(previousAttempts) != "" {
		one = load{retries: 1}
	}
	number, err := strconv.Atoi(r.Header.Get(replicaHeader))
	c.mu.Lock()
	defer c.mu.Unlock()
	at := secondAt(time.Since(c.began), c.lasts)
	for at >= len(c.log.seconds) {
		c.log.seconds = append(c.log.seconds, second{})
	}
	c.log.seconds[at][c.phase] = c.log.seconds[at][c.phase].plus(one)
	if err != nil || number < 1 || number >= len(c.log.replicas) {
		c.log.unknown++
		return c.phase
	}
	c.log.replicas[number] = c.log.replicas[number].plus(one)
	return c.phase
}

// secondAt returns which second of a round it is, from 0 on.
func secondAt(elapsed, lasts time.Duration) int {
	if elapsed >= lasts && elapsed < lasts+lateness {
		elapsed = lasts - 1
	}
	return int(elapsed / time.Second)
}

// begin begins the first second.
func (c *callee) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.began = time.Now()
}

// turn is the switch.
func (c *callee) turn(p phase) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.phase = p
}
