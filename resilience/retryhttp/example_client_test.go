package retryhttp_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/retryhttp"
)

// A client that retries what may pass. Its callers see no difference.
func Example() {
	service := unreliable(http.StatusServiceUnavailable, http.StatusBadGateway)
	defer service.Close()

	policy := retry.MustNew("inventory", retry.WithInitialDelay(time.Millisecond))
	client := &http.Client{Transport: retryhttp.MustNew(policy)}

	answer, err := client.Get(service.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(answer.Body)
	fmt.Println(answer.StatusCode, string(body))
	// Output: 200 after 2 failures
}

// A request that creates something is repeated if it has a key by which the server knows it
// again. The body is sent anew.
func Example_idempotencyKey() {
	service := unreliable(http.StatusServiceUnavailable, http.StatusServiceUnavailable)
	defer service.Close()
	policy := retry.MustNew("orders", retry.WithInitialDelay(time.Millisecond))
	client := &http.Client{Transport: retryhttp.MustNew(policy)}

	for _, key := range []string{"", "order-4711"} {
		request, err := http.NewRequest(http.MethodPost, service.URL, strings.NewReader(`{"item": 1}`))
		if err != nil {
			fmt.Println(err)
			return
		}
		if key != "" {
			request.Header.Set("Idempotency-Key", key)
		}
		answer, err := client.Do(request)
		if err != nil {
			fmt.Println(err)
			return
		}
		answer.Body.Close()
		fmt.Println(answer.StatusCode)
	}
	// Output:
	// 503
	// 200
}

// Which requests may be executed twice is known best where they are made.
func ExampleWithRepeatable() {
	service := unreliable(http.StatusServiceUnavailable)
	defer service.Close()
	policy := retry.MustNew("search", retry.WithInitialDelay(time.Millisecond))
	transport, err := retryhttp.New(policy, retryhttp.WithRepeatable(func(r *http.Request) bool {
		return r.Method == http.MethodGet || r.URL.Path == "/search"
	}))
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: transport}

	answer, err := client.Post(service.URL+"/search", "text/plain", strings.NewReader("shoes"))
	if err != nil {
		fmt.Println(err)
		return
	}
	answer.Body.Close()
	fmt.Println(answer.StatusCode)
	// Output: 200
}

// unreliable is a service that fails with some statuses before it works.
func unreliable(failures ...int) *httptest.Server {
	failed := 0
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if failed < len(failures) {
			failed++
			w.WriteHeader(failures[failed-1])
			return
		}
		fmt.Fprintf(w, "after %d failures", failed)
	}))
}
