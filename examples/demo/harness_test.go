package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A running shop is one that a test has started, and can look at from outside alone.
type running struct {
	url     string
	urls    []string // of the page and of the debug pages
	log     string
	stop    context.CancelFunc
	stopped chan error
}

var addressPattern = regexp.MustCompile(`http://\S+`)

// patient are the flags of a storefront that no busy machine makes lose its patience.
var patient = []string{"-attempt-timeout", "20s", "-rate", "0"}

// start runs a shop until the test ends.
func start(t *testing.T, args ...string) *running {
	t.Helper()
	r := &running{log: filepath.Join(t.TempDir(), "log"), stopped: make(chan error, 1)}
	o, err := parse(append([]string{"-addr", "127.0.0.1:0", "-log", r.log}, args...), io.Discard)
	require.NoError(t, err)
	var ctx context.Context
	ctx, r.stop = context.WithCancel(context.Background())
	lines, out := io.Pipe()
	go func() {
		err := run(ctx, o, out)
		r.stopped <- err
		out.CloseWithError(err)
	}()
	t.Cleanup(func() { r.end(t) })
	reader := bufio.NewReader(lines)
	line, err := reader.ReadString('\n')
	require.NoError(t, err)
	go func() { _, _ = io.Copy(io.Discard, reader) }()
	r.urls = addressPattern.FindAllString(line, -1)
	require.Len(t, r.urls, 4, line)
	r.url = r.urls[0]
	return r
}

// end stops the shop, and fails the test if it does not end well and soon.
func (r *running) end(t *testing.T) {
	t.Helper()
	r.stop()
	select {
	case err := <-r.stopped:
		assert.NoError(t, err)
		r.stopped <- nil // for the next who asks
	case <-time.After(15 * time.Second):
		t.Error("the shop does not end")
	}
}

// post turns a control, and returns what came of it.
func (r *running) post(t *testing.T, path string, body any) state {
	t.Helper()
	status, answer := r.send(t, path, body)
	require.Equal(t, http.StatusOK, status, answer)
	var s state
	require.NoError(t, json.Unmarshal([]byte(answer), &s))
	return s
}

func (r *running) send(t *testing.T, path string, body any) (status int, answer string) {
	t.Helper()
	text, err := json.Marshal(body)
	require.NoError(t, err)
	response, err := http.Post(r.url+path, "application/json", bytes.NewReader(text))
	require.NoError(t, err)
	defer response.Body.Close()
	all, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(all)
}

func (r *running) state(t *testing.T) state {
	t.Helper()
	response, err := http.Get(r.url + "api/state")
	require.NoError(t, err)
	defer response.Body.Close()
	var s state
	require.NoError(t, json.NewDecoder(response.Body).Decode(&s))
	return s
}

// until waits until the state is as wanted.
func (r *running) until(t *testing.T, wanted func(state) bool, what string) state {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	every := time.NewTicker(20 * time.Millisecond)
	defer every.Stop()
	for {
		s := r.state(t)
		if wanted(s) {
			return s
		}
		select {
		case <-every.C:
		case <-deadline.C:
			require.FailNow(t, "not within 20 s: "+what)
		}
	}
}

// entries returns what the services have written down.
func (r *running) entries(t *testing.T) (all []entry) {
	t.Helper()
	text, err := os.ReadFile(r.log)
	require.NoError(t, err)
	lines := json.NewDecoder(bytes.NewReader(text))
	for lines.More() {
		var e entry
		require.NoError(t, lines.Decode(&e))
		all = append(all, e)
	}
	return all
}

// orders places n orders, ten at a time, and returns what the services have written down of these.
// Shoppers would go on at their rate on a machine that is too busy for it, until the bulkhead is
// full: then not every attempt is a request.
func (r *running) orders(t *testing.T, n int) []entry {
	t.Helper()
	before := len(r.entries(t))
	numbers := make(chan int)
	var customers sync.WaitGroup
	for range 10 {
		customers.Go(func() {
			for number := range numbers {
				body := strings.NewReader(fmt.Sprintf(`{"order":"%d-%d"}`, before, number))
				response, err := http.Post(r.url+"orders", "application/json", body)
				if assert.NoError(t, err) {
					_, _ = io.Copy(io.Discard, response.Body)
					_ = response.Body.Close()
				}
			}
		})
	}
	for number := range n {
		numbers <- number
	}
	close(numbers)
	customers.Wait()
	all := r.entries(t)[before:]
	require.Len(t, of(nameStorefront, all), n)
	return all
}

func of(service string, all []entry) (found []entry) {
	for _, e := range all {
		if e.Service == service {
			found = append(found, e)
		}
	}
	return found
}

// load returns how many requests a service got for each order.
func load(service string, all []entry) float64 {
	return float64(len(of(service, all))) / float64(len(of(nameStorefront, all)))
}

func setFault(t *testing.T, r *running, service string, what fault) {
	t.Helper()
	r.post(t, "api/faults", map[string]any{"service": service, "fault": what})
}

func protect(t *testing.T, r *running, budget, breaker bool) {
	t.Helper()
	r.post(t, "api/settings", map[string]any{"budget": budget, "breaker": breaker})
}
