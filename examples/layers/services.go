package main

import (
	"context"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/retryhttp"
)

// attempts is how often each layer tries: once, and then by its retries.
const attempts = 3

// newClient returns the client by which a layer calls the one below. This is all that a layer
// needs to tell those below that it repeats a request, and to obey one that says not to.
func newClient(layer string) (*http.Client, error) {
	policy, err := retry.New(layer,
		retry.WithMaxRetries(attempts-1),
		// Thousands of calls in a few seconds leave no time for delays. Keep yours, and
		// share a budget, which bounds the retries of an outage whatever the layers say.
		retry.WithBackoff(backoff.Constant{}),
	)
	if err != nil {
		return nil, err
	}
	transport, err := retryhttp.New(policy)
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: transport}, nil
}

// forward answers as the layer below does.
func forward(client *http.Client, below string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The context of the request carries what it says of the layers above to the policy.
		request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, below, http.NoBody)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		answer, err := client.Do(request)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		answer.Body.Close()
		w.WriteHeader(answer.StatusCode)
	})
}

// A leaf is the service at the bottom, of whose answers a share fails.
type leaf struct {
	mu     sync.Mutex
	chance *rand.Rand
	fails  float64 // from 0 to 1
	calls  int
}

func (l *leaf) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	if l.chance.Float64() < l.fails {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// reset sets which share of the answers fails from now on, and counts anew.
func (l *leaf) reset(fails float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fails, l.calls = fails, 0
}

func (l *leaf) called() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.calls
}

// start serves h on a free port of loopback, and returns its address and what stops it.
func start(h http.Handler) (url string, stop func(), err error) {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	return "http://" + listener.Addr().String(), func() { _ = server.Close() }, nil
}
