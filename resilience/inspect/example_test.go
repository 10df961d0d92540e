package inspect_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/observable-go/toolkit/resilience/inspect"
)

// The page of a service, where its profiles are too.
func ExampleHandler() {
	debug := http.NewServeMux() // for a port that only you can reach
	debug.Handle("/debug/resilience/", inspect.Handler())

	w := httptest.NewRecorder()
	debug.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/debug/resilience/", http.NoBody))
	fmt.Println(w.Code, w.Header().Get("Content-Type"))
	// Output: 200 text/html; charset=utf-8
}

// A service that needs its database and can do without its cache.
func ExampleNewHealth() {
	health, err := inspect.NewHealth(
		inspect.WithCheck("postgres", func(context.Context) error { return nil }), // db.PingContext
		inspect.WithOptionalCheck("cache", func(context.Context) error { return errors.New("connection refused") }),
	)
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/livez", health.Live())
	mux.Handle("/readyz", health.Ready())

	for _, path := range []string{"/livez", "/readyz"} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), http.MethodGet, path, http.NoBody))
		fmt.Println(path, w.Code)
	}
	health.Drain() // the service is about to stop
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/readyz", http.NoBody))
	fmt.Println("/readyz", w.Code)
	// Output:
	// /livez 200
	// /readyz 200
	// /readyz 503
}
