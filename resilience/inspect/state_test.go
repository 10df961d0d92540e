package inspect_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/breaker"
	"github.com/observable-go/toolkit/resilience/budget"
	"github.com/observable-go/toolkit/resilience/bulkhead"
	"github.com/observable-go/toolkit/resilience/inspect"
	"github.com/observable-go/toolkit/resilience/retry"
)

const ms = time.Millisecond

// newPolicy returns a policy of four attempts with waits of a second.
func (f *fixture) newPolicy(name string, opts ...retry.Option) *retry.Policy {
	return retry.MustNew(name, append([]retry.Option{
		retry.WithBackoff(backoff.Constant{Interval: time.Second, Jitter: backoff.NoJitter}), retry.WithTelemetry(f.tel...),
	}, opts...)...)
}

// failing returns an operation that takes 100 ms and fails so many times.
func failing(times int, err error) resilience.Operation {
	n := 0
	return func(context.Context) error {
		time.Sleep(100 * ms)
		if n++; n <= times {
			return err
		}
		return nil
	}
}

func TestTotals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, inspect.WithTitle("shop"), inspect.WithTraceURL("http://localhost:16686/trace/{trace_id}"))
		p := f.newPolicy("inventory.get")
		require.NoError(t, p.Do(t.Context(), failing(0, nil)))
		require.NoError(t, p.Do(t.Context(), failing(2, failure("reset"))))
		require.Error(t, p.Do(t.Context(), failing(9, failure("refused"))))
		require.Error(t, p.Do(t.Context(), failing(9, resilience.Permanent(errors.New("no such item")))))

		d := f.read(t, "")
		assert.Equal(t, "shop", d.Title)
		assert.Equal(t, "http://localhost:16686/trace/{trace_id}", d.TraceURL)
		assert.InDelta(t, 2, d.IntervalSeconds, 0)
		assert.True(t, d.Full)
		require.Len(t, d.Policies, 1)
		shown := d.Policies[0]
		assert.Equal(t, "inventory.get", shown.Name)
		assert.Equal(t, map[string]int64{"success": 1, "success_after_retry": 1, "exhausted": 1, "not_retryable": 1}, shown.Calls)
		assert.EqualValues(t, 1+3+4+1, shown.Attempts)
		assert.EqualValues(t, 2+3, shown.Retries)
		assert.EqualValues(t, 2, shown.Retried)
		assert.InDelta(t, 2.2+3.3, shown.RetryLatencySeconds, 1e-9)
		assert.EqualValues(t, 2, shown.Errors["reset"])
		assert.EqualValues(t, 4, shown.Errors["refused"])
		assert.Len(t, shown.Troubled, 3)
	})
}

// A new page shows what was counted before it, but history only from then on.
func TestHistory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		nameA, nameB := unique("history a"), unique("history b") // on a page that shows all
		before := f.newPolicy(nameA)
		require.NoError(t, before.Do(t.Context(), func(context.Context) error { return nil }))
		page, err := inspect.New()
		require.NoError(t, err)
		defer func() { assert.NoError(t, page.Close()) }()
		whole := &fixture{page: page}

		time.Sleep(2*time.Second + ms)
		later := f.newPolicy(nameB)
		for range 3 {
			require.NoError(t, later.Do(t.Context(), func(context.Context) error { return nil }))
		}
		none := f.read(t, "")
		assert.Equal(t, []float64{-1}, numbers(none.Policies[1].History["calls"]), "it was not there at the last sample")
		assert.EqualValues(t, 3, none.Policies[1].Calls["success"])

		time.Sleep(2 * time.Second)
		require.NoError(t, before.Do(t.Context(), failing(1, failure("reset"))))
		time.Sleep(2 * time.Second)
		shown := f.read(t, "")
		assert.Equal(t, []float64{1, 0, 1}, numbers(shown.Policies[0].History["calls"]), "a")
		assert.Equal(t, []float64{0, 0, 1}, numbers(shown.Policies[0].History["retries"]), "a")
		assert.Equal(t, []float64{-1, 3, 0}, numbers(shown.Policies[1].History["calls"]), "b")

		for _, p := range whole.read(t, "").Policies {
			if p.Name == nameA {
				assert.Equal(t, []float64{0, 0, 1}, numbers(p.History["calls"]), "one call was before the page")
				assert.EqualValues(t, 1, p.Calls["success"])
			}
		}
	})
}

// The answers to one who asks again and again add up to the answer to one who asks once.
func TestCursor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		p := f.newPolicy("a")
		first := f.read(t, "")
		assert.True(t, first.Full)
		var calls []float64
		seen := map[uint64]bool{}
		cursor := first.Cursor
		for i := range 200 {
			for range i % 3 {
				_ = p.Do(t.Context(), failing(i%2, failure("reset")))
			}
			time.Sleep(time.Duration(i%7) * 700 * ms)
			next := f.read(t, cursor)
			assert.False(t, next.Full)
			cursor = next.Cursor
			calls = append(calls, numbers(next.Policies[0].History["calls"])...)
			for _, c := range next.Policies[0].Troubled {
				seen[c.ID] = true
			}
		}
		whole := f.read(t, "")
		require.True(t, whole.Full)
		want := numbers(whole.Policies[0].History["calls"])
		require.Len(t, want, 150)
		assert.Equal(t, want, calls[len(calls)-150:])
		for _, c := range whole.Policies[0].Troubled {
			assert.Contains(t, seen, c.ID)
		}
		assert.Empty(t, f.read(t, cursor).Policies[0].History["calls"])

		time.Sleep(301 * time.Second)
		assert.True(t, f.read(t, cursor).Full, "too old")
		for _, wrong := range []string{"x", "1-2", "1-2-3", "-1--1--1", strings.Repeat("9", 99), first.Cursor + "0-0"} {
			assert.True(t, f.read(t, wrong).Full, wrong)
		}
	})
}

func TestTimeline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		p := f.newPolicy("a")
		require.NoError(t, p.Do(t.Context(), failing(2, failure("reset"))))
		// By now there was trouble, so that the next call is timed from its start.
		ctx, span := sdktrace.NewTracerProvider().Tracer("test").Start(t.Context(), "GET /")
		began := time.Now()
		require.NoError(t, p.Do(ctx, failing(2, failure("reset"))))

		calls := f.read(t, "").Policies[0].Troubled
		require.Len(t, calls, 2)
		newest, oldest := calls[0], calls[1]
		assert.Empty(t, oldest.TraceID)
		assert.Nil(t, oldest.Timeline[0].StartSeconds, "nobody knows")
		assert.InDelta(t, 2.2, oldest.DurationSeconds, 1e-9)

		assert.Equal(t, span.SpanContext().TraceID().String(), newest.TraceID)
		assert.Equal(t, span.SpanContext().SpanID().String(), newest.SpanID)
		assert.Equal(t, "success_after_retry", newest.Outcome)
		assert.Equal(t, 3, newest.Attempts)
		assert.Equal(t, 4, newest.Max)
		assert.WithinDuration(t, began, newest.Began, 0)
		assert.InDelta(t, 2.3, newest.DurationSeconds, 1e-9)
		require.Len(t, newest.Timeline, 3)
		for i, a := range newest.Timeline {
			assert.Equal(t, i+1, a.Attempt)
			assert.InDelta(t, 1.1*float64(i), *a.StartSeconds, 1e-9)
			assert.InDelta(t, 1.1*float64(i)+.1, a.EndSeconds, 1e-9)
		}
		assert.Equal(t, "reset", newest.Timeline[0].ErrorType)
		assert.Equal(t, "reset at https://***@host/?***", newest.Timeline[0].Error)
		assert.InDelta(t, 1, *newest.Timeline[0].DelaySeconds, 1e-9)
		assert.Empty(t, newest.Timeline[2].ErrorType)
		assert.Nil(t, newest.Timeline[2].DelaySeconds)
	})
}

func TestTroubledOutcomes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		empty := budget.MustNew("empty", budget.WithBurst(1), budget.WithFloor(0), budget.WithRatio(0.001), budget.WithTelemetry(f.tel...))
		require.True(t, empty.Withdraw())
		many := f.newPolicy("many", retry.WithMaxRetries(19))
		broke := f.newPolicy("broke", retry.WithBudget(empty))
		canceled, cancel := context.WithCancel(t.Context())
		dead, kill := context.WithCancel(t.Context())
		kill()

		require.Error(t, many.Do(t.Context(), failing(99, failure("reset"))))
		require.Error(t, broke.Do(t.Context(), failing(9, failure("reset"))))
		go func() {
			time.Sleep(500 * ms)
			cancel()
		}()
		require.Error(t, many.Do(canceled, failing(9, failure("reset"))))
		require.Error(t, many.Do(dead, failing(9, failure("reset"))))
		assert.Panics(t, func() {
			_ = many.Do(t.Context(), func(context.Context) error { panic("secret") })
		})

		time.Sleep(2 * time.Second)
		shown := map[string]call{}
		for _, p := range f.read(t, "").Policies {
			failed := 0.0
			for _, n := range numbers(p.History["failed"]) {
				failed += max(n, 0)
			}
			assert.InDelta(t, map[string]float64{"many": 2, "broke": 1}[p.Name], failed, 0, "%s: without those that the caller cancelled", p.Name)
			for _, c := range p.Troubled {
				shown[c.Outcome] = c
			}
		}
		require.Len(t, shown, 5)
		exhausted := shown["exhausted"]
		assert.Equal(t, 20, exhausted.Attempts)
		var kept []int
		for _, a := range exhausted.Timeline {
			kept = append(kept, a.Attempt)
		}
		assert.Equal(t, []int{1, 2, 3, 4, 5, 6, 19, 20}, kept)
		assert.Equal(t, "empty", shown["budget_exhausted"].Budget)
		assert.InDelta(t, .5, shown["canceled"].DurationSeconds, 1e-9)
		require.Len(t, shown["canceled"].Timeline, 1)
		assert.NotNil(t, shown["canceled"].Timeline[0].DelaySeconds, "it was waiting")
		assert.Empty(t, shown["not_started"].Timeline)
		assert.Equal(t, "panic", shown["panic"].Timeline[0].ErrorType)
		assert.NotContains(t, shown["panic"].Timeline[0].Error, "secret")
	})
}

// A flood of one kind of trouble neither blocks anybody nor washes away another kind.
func TestFlood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		p := f.newPolicy("a", retry.WithMaxRetries(1))
		require.Error(t, p.Do(t.Context(), failing(9, failure("rare"))))
		missing := resilience.Permanent(errors.New("no such item"))
		var group sync.WaitGroup
		for range 50 {
			group.Go(func() {
				for range 20 {
					_ = p.Do(t.Context(), func(context.Context) error { return missing })
				}
			})
		}
		group.Wait()
		shown := f.read(t, "").Policies[0]
		assert.EqualValues(t, 1000, shown.Calls["not_retryable"])
		assert.LessOrEqual(t, len(shown.Troubled), 9)
		assert.EqualValues(t, 1001-len(shown.Troubled), shown.Dropped)
		assert.Equal(t, "exhausted", shown.Troubled[len(shown.Troubled)-1].Outcome)

		// What a breaker refuses does not hide what made it open.
		n := 0
		open := f.newPolicy("open", retry.WithMaxRetries(1))
		refused := resilience.Refused(failure("breaker_open"))
		require.Error(t, open.Do(t.Context(), func(context.Context) error {
			if n++; n == 1 {
				return failure("connection_refused")
			}
			return refused
		}))
		for range 100 {
			require.Error(t, open.Do(t.Context(), func(context.Context) error { return refused }))
		}
		var causes []string
		for _, p := range f.read(t, "").Policies {
			for _, c := range p.Troubled {
				if c.Outcome == "refused" {
					causes = append(causes, c.Timeline[0].ErrorType)
				}
			}
		}
		assert.Len(t, causes, 9)
		assert.Contains(t, causes, "connection_refused")

		time.Sleep(time.Second)
		_ = p.Do(t.Context(), func(context.Context) error { return missing })
		assert.Greater(t, f.read(t, "").Policies[0].Troubled[0].ID, shown.Troubled[0].ID, "there is room again")
	})
}

func TestGuardsAndBudgets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		b := breaker.MustNew("inventory", breaker.WithTelemetry(f.tel...))
		h := bulkhead.MustNew("inventory", 7, bulkhead.WithTelemetry(f.tel...))
		shared := budget.MustNew("shop", budget.WithBurst(20), budget.WithTelemetry(f.tel...))
		assert.True(t, shared.Withdraw())
		ok := func(context.Context) error { return nil }
		require.NoError(t, b.Do(t.Context(), ok))
		require.NoError(t, h.Do(t.Context(), ok))
		time.Sleep(2*time.Second + ms)
		b.ForceOpen()
		require.Error(t, b.Do(t.Context(), ok))
		time.Sleep(2 * time.Second)

		d := f.read(t, "")
		require.Len(t, d.Guards, 2)
		assert.Equal(t, "breaker", d.Guards[0].Kind)
		assert.Equal(t, "forced_open", d.Guards[0].State)
		assert.Equal(t, map[string]int64{"success": 1, "failure": 0, "ignored": 0, "rejected": 1}, d.Guards[0].Results)
		assert.EqualValues(t, 1, d.Guards[0].Events["forced_open"])
		assert.Equal(t, []string{"closed", "forced_open"}, d.Guards[0].History.State)
		assert.Equal(t, []float64{0, 1}, numbers(d.Guards[0].History.Rejected))
		assert.Equal(t, "bulkhead", d.Guards[1].Kind)
		assert.InDelta(t, 7, *d.Guards[1].Levels["limit"], 0)
		assert.Equal(t, []float64{0, 0}, numbers(d.Guards[1].History.Level), "calls in flight tell most")
		assert.Equal(t, []float64{1, 0}, numbers(d.Guards[1].History.Calls))
		require.Len(t, d.Budgets, 1)
		assert.Equal(t, "shop", d.Budgets[0].Name)
		assert.InDelta(t, 20, *d.Budgets[0].Capacity, 0)
		assert.EqualValues(t, 1, d.Budgets[0].Granted)
	})
}

// However many names there are, each is shown with its own figures.
func TestManyPolicies(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for i := range 500 {
		p := f.newPolicy(fmt.Sprintf("policy-%03d", i))
		for range i % 5 {
			require.NoError(t, p.Do(t.Context(), func(context.Context) error { return nil }))
		}
	}
	d := f.read(t, "")
	require.Len(t, d.Policies, 500)
	for i, p := range d.Policies {
		assert.Equal(t, fmt.Sprintf("policy-%03d", i), p.Name)
		assert.EqualValues(t, i%5, p.Calls["success"])
	}
}

func TestNothing(t *testing.T) {
	t.Parallel()
	w := get(t, newFixture(t).page, "/state.json")
	for _, list := range []string{`"policies":[]`, `"budgets":[]`, `"guards":[]`, `"warnings":[]`} {
		assert.Contains(t, w.Body.String(), list)
	}
}

// Readers and callers do not get in each other's way.
func TestReadersAndCallers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var callers, readers sync.WaitGroup
	stop := make(chan struct{})
	for i := range 8 {
		callers.Go(func() {
			p := f.newPolicy(fmt.Sprint("p", i%3), retry.WithBackoff(backoff.Constant{}))
			for n := range 300 {
				_ = p.Do(t.Context(), func(context.Context) error {
					if n%3 == 0 {
						return failure("reset")
					}
					return nil
				})
			}
		})
	}
	for range 3 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					f.read(t, "")
					get(t, f.page, "/state.txt")
				}
			}
		})
	}
	callers.Wait()
	close(stop)
	readers.Wait()
	var calls, attempts int64
	for _, p := range f.read(t, "").Policies {
		for _, n := range p.Calls {
			calls += n
		}
		attempts += p.Attempts
	}
	assert.EqualValues(t, 8*300, calls)
	assert.EqualValues(t, 8*(200+100*4), attempts)
}
