package main

import (
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"time"
)

// A fault is a way to answer a request, and the share of the requests that it gets.
type fault struct {
	share  float64
	answer http.HandlerFunc
}

// usualFaults are those of a dependency that is well: about 5 in 100.
var usualFaults = []fault{
	{0.020, busy},
	{0.010, reset},
	{0.005, hangUp},
	{0.010, stall},
	{0.005, reject},
}

// outageFaults leave nothing that works.
var outageFaults = []fault{
	{0.70, unavailable},
	{0.20, reset},
	{1, stall}, // whatever is left
}

func faultsIn(p phase) []fault {
	if p == outage {
		return outageFaults
	}
	return usualFaults
}

// pick draws a fault, or none: then it returns search.
func pick(faults []fault) http.HandlerFunc {
	u := rand.Float64()
	for _, f := range faults {
		if u < f.share {
			return f.answer
		}
		u -= f.share
	}
	return search
}

const found = `{"matches":["backoff","budget","breaker"]}`

// search is the answer of a dependency that works.
func search(w http.ResponseWriter, _ *http.Request) {
	_, _ = w.Write([]byte(found)) // nobody to tell if the client has gone
}

// busy asks the client to come back in a second.
func busy(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Retry-After", "1")
	unavailable(w, r)
}

// unavailable is an overload that does not say how long it will last.
func unavailable(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "try again later", http.StatusServiceUnavailable)
}

// reject finds the request at fault.
func reject(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "what do you mean?", http.StatusBadRequest)
}

// reset ends the connection with a TCP reset, as a process does that is killed.
func reset(w http.ResponseWriter, _ *http.Request) {
	cut(w, func(conn net.Conn) {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // close sends RST then
		}
	})
}

// hangUp ends the connection in order, but without an answer.
func hangUp(w http.ResponseWriter, _ *http.Request) {
	cut(w, func(net.Conn) {})
}

func cut(w http.ResponseWriter, how func(net.Conn)) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	how(conn)
	_ = conn.Close()
}

// stall sends half an answer at once and the other half long after clients have lost
// their patience.
func stall(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Length", strconv.Itoa(len(found)))
	_, _ = w.Write([]byte(found[:len(found)/2]))
	_ = http.NewResponseController(w).Flush()
	select {
	case <-time.After(2 * time.Second):
	case <-r.Context().Done(): // the client has gone
	}
	_, _ = w.Write([]byte(found[len(found)/2:]))
}
