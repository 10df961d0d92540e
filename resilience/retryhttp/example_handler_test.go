package retryhttp_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"

	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/bulkhead"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/retryhttp"
)

// A service whose callee is down makes its retries for the first request, says that it gave up,
// and makes none for a request that is a repetition all the same.
func ExampleNewHandler() {
	var calls atomic.Int64
	callee := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer callee.Close()

	policy := retry.MustNew("callee", retry.WithMaxRetries(2), retry.WithBackoff(backoff.Constant{})) // keep your delays
	client := &http.Client{Transport: retryhttp.MustNew(policy)}
	handler, err := retryhttp.NewHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, callee.URL, http.NoBody)
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
	}))
	if err != nil {
		fmt.Println(err)
		return
	}
	service := httptest.NewServer(handler)
	defer service.Close()

	for _, previous := range []string{"0", "1"} {
		request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, service.URL, http.NoBody)
		if err != nil {
			fmt.Println(err)
			return
		}
		request.Header.Set("Previous-Attempts", previous)
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			fmt.Println(err)
			return
		}
		answer.Body.Close()
		fmt.Printf("%d, X-Should-Retry: %q, %d calls so far\n", answer.StatusCode, answer.Header.Get("X-Should-Retry"), calls.Load())
	}
	// Output:
	// 503, X-Should-Retry: "false", 3 calls so far
	// 503, X-Should-Retry: "", 4 calls so far
}

// A service that is full says so at once, in place of making everybody wait.
func ExampleWithGuard() {
	guard := bulkhead.MustNew("requests", 1)
	var handler http.Handler
	depth := 0
	nested := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if depth++; depth == 1 { // a second request comes in while the first one is served
			second := httptest.NewRecorder()
			handler.ServeHTTP(second, httptest.NewRequestWithContext(r.Context(), http.MethodGet, "/second", http.NoBody))
			fmt.Println("second:", second.Code)
		}
		fmt.Fprintln(w, "done")
	})
	handler, err := retryhttp.NewHandler(nested, retryhttp.WithGuard(guard))
	if err != nil {
		fmt.Println(err)
		return
	}
	first := httptest.NewRecorder()
	handler.ServeHTTP(first, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/first", http.NoBody))
	fmt.Println("first:", first.Code)
	// Output:
	// second: 503
	// first: 200
}
