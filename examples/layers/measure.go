package main

import (
	"context"
	"math/rand/v2"
	"net/http"

	"github.com/observable-go/toolkit/resilience/retryhttp"
)

// A variant is what the handlers of the services know of the other layers.
type variant struct {
	signals string
	serve   func(http.Handler) (http.Handler, error)
}

var variants = []variant{
	{"none", func(h http.Handler) (http.Handler, error) { return h, nil }},
	{"request", func(h http.Handler) (http.Handler, error) {
		return retryhttp.NewHandler(h, retryhttp.WithoutShouldRetry())
	}},
	{"request and answer", func(h http.Handler) (http.Handler, error) { return retryhttp.NewHandler(h) }},
}

// A result is a row of the table.
type result struct {
	signals        string
	callsWhileDown int     // of the leaf, for one request
	succeeded      float64 // share of the requests, while half of the answers of the leaf fail
	meanCalls      float64 // of the leaf, for one of these requests
}

func measureAll(ctx context.Context, requests int, seed uint64) ([]result, error) {
	var results []result
	for _, v := range variants {
		r, err := measure(ctx, v, requests, seed)
		if err != nil {
			return nil, err
		}
		results = append(results, r)
	}
	return results, nil
}

// measure runs all services in one variant.
func measure(ctx context.Context, v variant, requests int, seed uint64) (result, error) {
	bottom := &leaf{chance: rand.New(rand.NewPCG(seed, 0))}
	top, stop, err := startServices(bottom, v)
	defer stop()
	if err != nil {
		return result{}, err
	}
	client, err := newClient("client")
	if err != nil {
		return result{}, err
	}
	defer client.CloseIdleConnections()

	r := result{signals: v.signals}
	bottom.reset(1)
	if _, err := get(ctx, client, top); err != nil {
		return result{}, err
	}
	r.callsWhileDown = bottom.called()

	bottom.reset(0.5)
	succeeded := 0
	for range requests { // one by one, so that a seed makes the same failures each time
		ok, err := get(ctx, client, top)
		if err != nil {
			return result{}, err
		}
		if ok {
			succeeded++
		}
	}
	r.succeeded = float64(succeeded) / float64(requests)
	r.meanCalls = float64(bottom.called()) / float64(requests)
	return r, nil
}

// startServices starts C, B and A, and returns the address of A and what stops all.
func startServices(c http.Handler, v variant) (top string, stop func(), err error) {
	var stops []func()
	stop = func() {
		for _, s := range stops {
			s()
		}
	}
	add := func(h http.Handler) error {
		h, err := v.serve(h)
		if err != nil {
			return err
		}
		url, s, err := start(h)
		if err != nil {
			return err
		}
		top, stops = url, append(stops, s)
		return nil
	}
	if err := add(c); err != nil {
		return "", stop, err
	}
	for _, layer := range []string{"B", "A"} {
		client, err := newClient(layer)
		if err != nil {
			return "", stop, err
		}
		if err := add(forward(client, top)); err != nil {
			return "", stop, err
		}
	}
	return top, stop, nil
}

// get makes one request, and reports whether its answer is a success.
func get(ctx context.Context, client *http.Client, url string) (ok bool, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return false, err
	}
	answer, err := client.Do(request)
	if err != nil {
		return false, err
	}
	answer.Body.Close()
	return answer.StatusCode == http.StatusOK, nil
}
