package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEndsByItself(t *testing.T) {
	t.Parallel()
	o, err := parse([]string{"-addr", "127.0.0.1:0", "-for", "300ms"}, io.Discard)
	require.NoError(t, err)
	var out strings.Builder
	began := time.Now()
	require.NoError(t, run(t.Context(), o, &out))
	assert.GreaterOrEqual(t, time.Since(began), 300*time.Millisecond)
	assert.Less(t, time.Since(began), 10*time.Second)
	assert.Regexp(t, `^Shop: http://127\.0\.0\.1:\d+/  Debug pages:`+
		strings.Repeat(` \w+ http://127\.0\.0\.1:\d+/debug/resilience/`, 3)+"\n"+
		`Closed after [1-9]\d* orders, of which [1-9]\d* succeeded\. inventory got [1-9]\d* requests, payments [1-9]\d*\.`+"\n$", out.String())
}

// Connections that browsers keep open, and such on which nothing was said yet, do not keep the
// shop open.
func TestOpenConnections(t *testing.T) {
	t.Parallel()
	r := start(t, "-rate", "20")
	address, err := url.Parse(r.url)
	require.NoError(t, err)
	silent, err := net.Dial("tcp", address.Host)
	require.NoError(t, err)
	t.Cleanup(func() { _ = silent.Close() })
	kept, err := net.Dial("tcp", address.Host)
	require.NoError(t, err)
	t.Cleanup(func() { _ = kept.Close() })
	fmt.Fprint(kept, "GET /api/state HTTP/1.1\r\nHost: shop\r\n\r\n")
	response, err := http.ReadResponse(bufio.NewReader(kept), nil)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, response.Body)
	require.NoError(t, err)
	response.Body.Close()
	began := time.Now()
	r.end(t)
	assert.Less(t, time.Since(began), lastOrders+lastRequests)
}

// In the midst of a storm and of the story.
func TestEndsInAStorm(t *testing.T) {
	t.Parallel()
	r := start(t, "-rate", "50")
	r.post(t, "api/story", map[string]any{"play": true})
	setFault(t, r, nameInventory, slow)
	protect(t, r, false, false)
	r.until(t, func(s state) bool { return s.Orders.Inflight > 20 }, "orders that wait")
	began := time.Now()
	r.end(t)
	assert.Less(t, time.Since(began), 10*time.Second)
	orders := of(nameStorefront, r.entries(t))
	assert.NotEmpty(t, orders)
	for _, e := range orders {
		assert.NotEqual(t, resultCanceled, e.Result, "an order that was placed is waited for")
	}
}

// Not parallel, as it counts goroutines.
func TestNothingIsLeft(t *testing.T) {
	before := runtime.NumGoroutine()
	r := start(t, patient...)
	r.orders(t, 20)
	r.end(t)
	http.DefaultClient.CloseIdleConnections()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	every := time.NewTicker(10 * time.Millisecond)
	defer every.Stop()
	for runtime.NumGoroutine() > before { // Eventually of testify has goroutines of its own
		select {
		case <-every.C:
		case <-deadline.C:
			stacks := make([]byte, 1<<20)
			require.FailNow(t, "goroutines are left", "%s", stacks[:runtime.Stack(stacks, true)])
		}
	}
}
