package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric/noop"

	"github.com/observable-go/toolkit/resilience/inspect"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// apart is a meter provider that keeps a benchmark's policies from those of others.
type apart struct {
	noop.MeterProvider
	_ byte
}

var errNotFound = errors.New("not found")

// newPage returns a debug page of what emits to provider, which ends with the benchmark.
func newPage(b *testing.B, provider *apart) *inspect.Inspector {
	b.Helper()
	page, err := inspect.New(inspect.WithMeterProvider(provider))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = page.Close() })
	return page
}

// BenchmarkInspect measures what the debug page costs the calls that it shows: one that
// succeeds at once, one that is retried, and one that fails at once and is not to be retried.
func BenchmarkInspect(b *testing.B) {
	failure := errTransient
	for _, c := range []struct {
		name string
		op   func() func(context.Context) (int, error)
	}{
		{"success", func() func(context.Context) (int, error) { return succeed }},
		{"retried", func() func(context.Context) (int, error) {
			n := 0
			return func(context.Context) (int, error) {
				if n++; n%2 == 1 {
					return 0, failure
				}
				return 1, nil
			}
		}},
		{"failed", func() func(context.Context) (int, error) {
			return func(context.Context) (int, error) { return 0, errNotFound }
		}},
	} {
		for _, page := range []string{"off", "on"} {
			b.Run(fmt.Sprintf("call=%s/page=%s", c.name, page), func(b *testing.B) {
				provider := new(apart)
				if page == "on" {
					newPage(b, provider)
				}
				p := retry.MustNew("p", retry.WithInitialDelay(0), retry.WithTelemetry(telemetry.WithMeterProvider(provider)))
				op := c.op()
				b.ReportAllocs()
				for b.Loop() {
					_, _ = retry.DoValue(context.Background(), p, op)
				}
			})
		}
	}
}

// BenchmarkPageUnderLoad measures an answer of the page while 500 policies make 100,000 calls a
// second, of which one in a hundred is retried: the first answer, and one with what is new.
func BenchmarkPageUnderLoad(b *testing.B) {
	const policies, perSecond, every = 500, 100_000, 10 * time.Millisecond
	provider := new(apart)
	page := newPage(b, provider)
	all := make([]*retry.Policy, policies)
	for i := range all {
		all[i] = retry.MustNew(fmt.Sprintf("service-%03d.operation", i),
			retry.WithInitialDelay(0), retry.WithTelemetry(telemetry.WithMeterProvider(provider)))
	}
	var calls atomic.Int64
	stop := make(chan struct{})
	var traffic sync.WaitGroup
	traffic.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			for range perSecond / int(time.Second/every) {
				n, attempts := calls.Add(1), 0
				_, _ = retry.DoValue(context.Background(), all[n%policies], func(context.Context) (int, error) {
					if attempts++; n%100 == 0 && attempts == 1 {
						return 0, errTransient
					}
					return 1, nil
				})
			}
		}
	})
	b.Cleanup(func() { close(stop); traffic.Wait() })

	var first struct{ Cursor string }
	w := httptest.NewRecorder()
	page.ServeHTTP(w, httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/state.json", http.NoBody))
	if err := json.Unmarshal(w.Body.Bytes(), &first); err != nil {
		b.Fatal(err)
	}
	for name, target := range map[string]string{"first": "/state.json", "new": "/state.json?since=" + first.Cursor} {
		b.Run("answer="+name, func(b *testing.B) {
			request := httptest.NewRequestWithContext(b.Context(), http.MethodGet, target, http.NoBody)
			before := calls.Load()
			for b.Loop() {
				page.ServeHTTP(httptest.NewRecorder(), request)
			}
			b.ReportMetric(float64(calls.Load()-before)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}
