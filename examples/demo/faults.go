package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// A fault is what is wrong with a service.
type fault string

const (
	healthy fault = "healthy"
	slow    fault = "slow"   // takes 100 ms to 700 ms, where callers wait for 400 ms
	fail    fault = "fail"   // answers a share of the requests with an error
	reset   fault = "reset"  // breaks the connection of a share of the requests
	outage  fault = "outage" // answers every request with an error
)

var allFaults = []fault{healthy, slow, fail, reset, outage}

// defaultShare is the share of the requests that fail and reset strike.
const defaultShare = 0.3

// A result is what came of a request, as the service saw it.
type result string

const (
	resultOK       result = "ok"
	resultFailed   result = "failed"   // answered with an error
	resultReset    result = "reset"    // the connection was broken
	resultCanceled result = "canceled" // the caller had left before there was an answer
)

var allResults = []result{resultOK, resultFailed, resultReset, resultCanceled}

// faults are those of one service. A new one is to be healthy.
type faults struct {
	mu     sync.Mutex
	fault  fault
	share  float64 // of the requests, for fail and reset
	chance *rand.Rand
}

func newFaults(seed, service uint64) *faults {
	return &faults{fault: healthy, chance: rand.New(rand.NewPCG(seed, service))}
}

// checkFault returns an error that says what is allowed. A share of 0 is the default one.
func checkFault(service string, what fault, share float64) error {
	if service != everyService && !slices.Contains(serviceNames, service) {
		return fmt.Errorf("service: %q is not allowed: want one of %s, %s", service, strings.Join(serviceNames, ", "), everyService)
	}
	if !slices.Contains(allFaults, what) {
		return fmt.Errorf("fault: %q is not allowed: want one of %s", what, strings.Join(texts(allFaults), ", "))
	}
	if !(share >= 0 && share <= 1) {
		return fmt.Errorf("share: %v is not allowed: want more than 0, up to 1", share)
	}
	if share != 0 && !hasShare(what) {
		return fmt.Errorf("share: %v is not allowed for the fault %q: want it for %q and %q only", share, what, fail, reset)
	}
	return nil
}

func hasShare(what fault) bool { return what == fail || what == reset }

func texts[T ~string](values []T) []string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = string(v)
	}
	return all
}

// set takes a fault that was checked.
func (f *faults) set(what fault, share float64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if share == 0 && hasShare(what) {
		share = defaultShare
	}
	f.fault, f.share = what, share
}

func (f *faults) get() (what fault, share float64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fault, f.share
}

// meet takes the time that a request needs, and returns what is to come of it.
func (f *faults) meet(ctx context.Context) result {
	takes, comes := f.draw()
	work := time.NewTimer(takes)
	defer work.Stop()
	select {
	case <-work.C:
		return comes
	case <-ctx.Done():
		return resultCanceled
	}
}

func (f *faults) draw() (takes time.Duration, comes result) {
	f.mu.Lock()
	defer f.mu.Unlock()
	struck := f.chance.Float64() < f.share
	part := f.chance.Float64()
	between := func(low, high time.Duration) time.Duration { return low + time.Duration(part*float64(high-low)) }
	switch {
	case f.fault == slow:
		return between(100*time.Millisecond, 700*time.Millisecond), resultOK
	case f.fault == outage, f.fault == fail && struck:
		return time.Millisecond, resultFailed
	case f.fault == reset && struck:
		return time.Millisecond, resultReset
	}
	return between(time.Millisecond, 6*time.Millisecond), resultOK
}

// breakConnection ends the connection of a request with a TCP reset, as a process does that is
// killed.
func breakConnection(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	breakConn(conn)
}

func breakConn(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // Close sends RST then
	}
	_ = conn.Close()
}
