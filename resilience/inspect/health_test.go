package inspect_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience/breaker"
	"github.com/observable-go/toolkit/resilience/budget"
	"github.com/observable-go/toolkit/resilience/inspect"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

type healthDocument struct {
	Status, Output string
	Checks         map[string][]struct {
		ObservedValue  any
		Status, Output string
		Time           time.Time
	}
}

// ready asks whether h is ready, which it says by the status of the answer too.
func ready(t *testing.T, h *inspect.Health) (d healthDocument) {
	t.Helper()
	w := get(t, h.Ready(), "/readyz")
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &d))
	assert.Equal(t, "application/health+json", w.Header().Get("Content-Type"))
	want := http.StatusOK
	if d.Status == "fail" {
		want = http.StatusServiceUnavailable
	}
	assert.Equal(t, want, w.Code)
	return d
}

func newHealth(t *testing.T, opts ...inspect.HealthOption) (h *inspect.Health, tel []telemetry.Option) {
	t.Helper()
	provider := new(ownProvider)
	h, err := inspect.NewHealth(append(opts, inspect.WithHealthMeterProvider(provider))...)
	require.NoError(t, err)
	return h, []telemetry.Option{telemetry.WithMeterProvider(provider)}
}

func TestChecks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var err error
		runs := 0
		h, _ := newHealth(t,
			inspect.WithCheck("db", func(context.Context) error { runs++; return err }),
			inspect.WithOptionalCheck("cache", func(context.Context) error { return errors.New("no route to https://u:secret@host") }))
		assert.Equal(t, "warn", ready(t, h).Status)
		assert.Equal(t, "pass", ready(t, h).Checks["db"][0].Status)
		assert.Equal(t, "warn", ready(t, h).Checks["cache"][0].Status)
		assert.Equal(t, "no route to https://***@host", ready(t, h).Checks["cache"][0].Output)
		assert.Equal(t, 1, runs, "the result is young")

		err = errors.New("connection refused")
		time.Sleep(time.Second)
		d := ready(t, h)
		assert.Equal(t, "fail", d.Status)
		assert.Equal(t, "connection refused", d.Checks["db"][0].Output)
		assert.Equal(t, 2, runs)
		assert.Equal(t, http.StatusOK, get(t, h.Live(), "/livez").Code, "it lives all the same")
	})
}

func TestChecksThatMisbehave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int64
		hangs := make(chan struct{})
		h, _ := newHealth(t, inspect.WithCheckTimeout(500*ms), inspect.WithCheckAge(0),
			inspect.WithCheck("panics", func(context.Context) error { panic("secret") }),
			inspect.WithCheck("slow", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }),
			inspect.WithCheck("hangs", func(context.Context) error { runs.Add(1); <-hangs; return nil }))
		began := time.Now()
		for range 3 {
			d := ready(t, h)
			assert.Equal(t, "fail", d.Status)
			assert.Equal(t, "the check panicked", d.Checks["panics"][0].Output)
			assert.NotEmpty(t, d.Checks["slow"][0].Output)
			assert.Equal(t, "the check took too long", d.Checks["hangs"][0].Output)
		}
		assert.Equal(t, 1500*ms, time.Since(began))
		assert.EqualValues(t, 1, runs.Load(), "never twice at a time")
		close(hangs)
		synctest.Wait()
	})
}

// A check that ended well, but late, has failed all the same: so will the next one.
func TestLateCheck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, _ := newHealth(t, inspect.WithCheck("slow", func(context.Context) error { time.Sleep(1500 * ms); return nil }))
		for range 3 {
			d := ready(t, h)
			assert.Equal(t, "fail", d.Status)
			assert.Equal(t, "the check took too long", d.Checks["slow"][0].Output)
			time.Sleep(600 * ms)
		}
		time.Sleep(2 * time.Second)
	})
}

// A check may leave its goroutine, or ask for the health that it is part of.
func TestStrangeChecks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var h *inspect.Health
		h, _ = newHealth(t,
			inspect.WithCheck("leaves", func(context.Context) error { runtime.Goexit(); return nil }),
			inspect.WithCheck("asks itself", func(ctx context.Context) error {
				w := httptest.NewRecorder()
				h.Ready().ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", http.NoBody))
				return errors.New(http.StatusText(w.Code))
			}))
		began := time.Now()
		d := ready(t, h)
		assert.Equal(t, "the check panicked", d.Checks["leaves"][0].Output)
		assert.NotEqual(t, "pass", d.Checks["asks itself"][0].Status)
		assert.LessOrEqual(t, time.Since(began), time.Second)
		time.Sleep(2 * time.Second)
	})
}

// However many ask at once, a check runs once, and who goes away spoils nothing for others.
func TestManyProbes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int64
		h, _ := newHealth(t, inspect.WithCheck("db", func(ctx context.Context) error {
			runs.Add(1)
			time.Sleep(500 * ms)
			return ctx.Err()
		}))
		gone, leave := context.WithTimeout(t.Context(), 100*ms)
		defer leave()
		var group sync.WaitGroup
		group.Go(func() {
			w := httptest.NewRecorder()
			h.Ready().ServeHTTP(w, httptest.NewRequestWithContext(gone, http.MethodGet, "/", http.NoBody))
			assert.Equal(t, http.StatusServiceUnavailable, w.Code)
		})
		for range 100 {
			group.Go(func() {
				time.Sleep(50 * ms)
				assert.Equal(t, "pass", ready(t, h).Status)
			})
		}
		group.Wait()
		assert.EqualValues(t, 1, runs.Load())
	})
}

func TestPoliciesInHealth(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, tel := newHealth(t, inspect.WithRequiredBreaker("needed"))
		assert.Equal(t, "there is no circuit breaker of this name by now", ready(t, h).Checks["breaker:needed"][0].Output)
		needed := breaker.MustNew("needed", breaker.WithTelemetry(tel...))
		other := breaker.MustNew("other", breaker.WithTelemetry(tel...))
		assert.Equal(t, "pass", ready(t, h).Status)

		other.ForceOpen()
		assert.Equal(t, "warn", ready(t, h).Status, "all replicas have this callee in common")
		needed.ForceOpen()
		assert.Equal(t, "fail", ready(t, h).Status)
		assert.Equal(t, "forced_open", ready(t, h).Checks["breaker:needed"][0].ObservedValue)
		needed.Reset()
		other.Disable()
		assert.Equal(t, "pass", ready(t, h).Status, "a breaker that is disabled rejects nobody")
		other.Reset()

		b := budget.MustNew("shop", budget.WithBurst(1), budget.WithTelemetry(tel...))
		assert.Equal(t, "pass", ready(t, h).Status)
		require.True(t, b.Withdraw())
		d := ready(t, h)
		assert.Equal(t, "warn", d.Status)
		assert.Equal(t, "the retry budget is empty", d.Checks["budget:shop"][0].Output)
	})
}

// A required breaker that lets calls through to see whether the callee is back does not keep
// the service out.
func TestHalfOpenBreaker(t *testing.T) {
	t.Parallel()
	h, tel := newHealth(t, inspect.WithRequiredBreaker("needed"))
	state := "open"
	_, err := telemetry.NewBreaker("needed", func() telemetry.BreakerLevel { return telemetry.BreakerLevel{State: state} }, tel...)
	require.NoError(t, err)
	_, err = telemetry.NewBudget("odd", func() (tokens, capacity float64) { return math.Inf(-1), math.NaN() }, tel...)
	require.NoError(t, err)
	d := ready(t, h)
	assert.Equal(t, "fail", d.Status)
	assert.Nil(t, d.Checks["budget:odd"][0].ObservedValue)
	state = "half_open"
	assert.Equal(t, "warn", ready(t, h).Status)
}

func TestDrain(t *testing.T) {
	t.Parallel()
	h, _ := newHealth(t)
	assert.Equal(t, "pass", ready(t, h).Status)
	h.Drain()
	d := ready(t, h)
	assert.Equal(t, "fail", d.Status)
	assert.Contains(t, d.Output, "draining")
	assert.Equal(t, http.StatusOK, get(t, h.Live(), "/livez").Code)
}
