package bench

import (
	"context"
	"errors"
	"fmt"
	"testing"

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
