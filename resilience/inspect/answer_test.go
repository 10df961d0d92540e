package inspect

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"go.opentelemetry.io/otel/metric/noop"

	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// apart is a meter provider that keeps what a benchmark shows from what others do.
type apart struct {
	noop.MeterProvider
	_ byte
}

type transient struct{}

func (transient) Error() string   { return "transient" }
func (transient) Retryable() bool { return true }

// discard is a client that reads everything at once.
type discard struct {
	header http.Header
	bytes  int
}

func (d *discard) Header() http.Header { return d.header }
func (d *discard) WriteHeader(int)     {}
func (d *discard) Write(p []byte) (int, error) {
	d.bytes += len(p)
	return len(p), nil
}

// newFull returns a page with so many policies, each in trouble and with the whole history.
func newFull(b *testing.B, policies int) *Inspector {
	b.Helper()
	provider := new(apart)
	page, err := New(WithMeterProvider(provider))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = page.Close() })
	failing := make([]*retry.Policy, policies)
	for i := range failing {
		failing[i] = retry.MustNew(fmt.Sprintf("service-%03d.operation", i),
			retry.WithInitialDelay(0), retry.WithTelemetry(telemetry.WithMeterProvider(provider)))
	}
	for n := range samples {
		for i, p := range failing {
			for range (n*i)%7 + 1 {
				_ = p.Do(context.Background(), func(context.Context) error { return transient{} })
			}
		}
		page.mu.Lock()
		page.history.add(page.watcher.Read())
		page.mu.Unlock()
	}
	return page
}

// BenchmarkAnswer measures an answer of the page with five minutes of history: a whole one,
// one with what is new since the latest sample, and the text.
func BenchmarkAnswer(b *testing.B) {
	for _, policies := range []int{10, 500} {
		page := newFull(b, policies)
		latest := cursor{page.began.UnixNano(), page.history.latest - 1, 1 << 62}
		for name, target := range map[string]string{
			"whole": "/state.json", "new": "/state.json?since=" + latest.String(), "text": "/state.txt",
		} {
			b.Run(fmt.Sprintf("policies=%d/answer=%s", policies, name), func(b *testing.B) {
				request := httptest.NewRequestWithContext(b.Context(), http.MethodGet, target, http.NoBody)
				w := discard{http.Header{}, 0}
				for b.Loop() {
					w.bytes = 0
					page.ServeHTTP(&w, request)
				}
				b.ReportMetric(float64(w.bytes)/1000, "kB/answer")
			})
		}
	}
}

// BenchmarkSample measures what the page does every two seconds, also when nobody looks.
func BenchmarkSample(b *testing.B) {
	for _, policies := range []int{10, 500} {
		page := newFull(b, policies)
		b.Run(fmt.Sprintf("policies=%d", policies), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				live := page.watcher.Read()
				page.watcher.Tick()
				page.mu.Lock()
				page.history.add(live)
				page.mu.Unlock()
			}
		})
	}
}

// Whatever is asked for, the answer is a whole one or continues an earlier one.
func FuzzCursor(f *testing.F) {
	for _, text := range []string{"", "1-2-3", "ff-0-0", "-1--1--1", "1-2-3-4", "x-y-z", cursor{1 << 60, 7, 1 << 63}.String()} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := parseCursor(text)
		if c.sample < 0 || parseCursor(c.String()) != c {
			t.Fatalf("%q: %+v", text, c)
		}
		now := cursor{c.inspector, 1000, 1}
		if c.continues(now) && (c.sample > 1000 || c.sample < 1000-samples) {
			t.Fatalf("%+v", c)
		}
	})
}
