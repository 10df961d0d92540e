package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/observable-go/toolkit/resilience"
)

// A callee answers each call as its plan says, and keeps a log of its own of what it was asked:
// what Prometheus and Jaeger say is compared with that.
type callee struct {
	url string

	mu    sync.Mutex
	log   []entry
	asked map[string]int           // call -> how often
	held  map[string]chan struct{} // call -> closed when it may be answered
}

// An entry is a request that was answered.
type entry struct {
	policy, call string
	status       int
	began, ended time.Time
}

func newCallee(t *testing.T) *callee {
	t.Helper()
	c := &callee{asked: map[string]int{}, held: map[string]chan struct{}{}}
	server := httptest.NewServer(http.HandlerFunc(c.answer))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

// answer serves /POLICY/CALL?plan=503,200: the first request of the call gets 503, the others 200.
func (c *callee) answer(w http.ResponseWriter, r *http.Request) {
	policy, call, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	e := entry{policy: policy, call: call, began: time.Now()}
	c.mu.Lock()
	plan := strings.Split(r.URL.Query().Get("plan"), ",")
	answer := plan[min(c.asked[policy+call], len(plan)-1)]
	c.asked[policy+call]++
	held := c.held[call]
	c.mu.Unlock()
	if answer == hold {
		answer = "200"
		if held != nil {
			select {
			case <-held:
			case <-r.Context().Done():
			}
		}
	}
	e.status, _ = strconv.Atoi(answer)
	e.ended = time.Now()
	c.mu.Lock()
	c.log = append(c.log, e)
	c.mu.Unlock()
	w.WriteHeader(e.status)
}

// hold is the answer of a plan that comes when the call is released, if it is held.
const hold = "hold"

// holding makes calls of this name wait until release is called.
func (c *callee) holding(call string) (release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	gate := make(chan struct{})
	c.held[call] = gate
	return sync.OnceFunc(func() { close(gate) })
}

// requests returns how many requests a policy has sent, answered or not.
func (c *callee) requests(policy string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, times := range c.asked {
		if strings.HasPrefix(key, policy) {
			n += times
		}
	}
	return n
}

// calls returns the requests of a policy by call, in their order.
func (c *callee) calls(policy string) map[string][]entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := map[string][]entry{}
	for _, e := range c.log {
		if e.policy == policy {
			all[e.call] = append(all[e.call], e)
		}
	}
	return all
}

// ask sends one request. Of the answers 503 may be retried, 400 may not, and nobody says what
// 418 means.
func (c *callee) ask(ctx context.Context, policy, call, plan string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet,
		c.url+"/"+policy+"/"+call+"?plan="+url.QueryEscape(plan), nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	switch failure := status(resp.StatusCode); resp.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusServiceUnavailable:
		return resilience.Retryable(failure)
	case http.StatusBadRequest:
		return resilience.Permanent(failure)
	default:
		return failure
	}
}

// A status is an answer other than 200.
type status int

func (s status) Error() string { return fmt.Sprintf("status %d", int(s)) }

// ErrorType is what telemetry shows.
func (s status) ErrorType() string { return strconv.Itoa(int(s)) }
