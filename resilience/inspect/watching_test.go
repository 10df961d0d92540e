package inspect_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/inspect"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// watched reports whether there is any page.
func watched(t *testing.T) bool {
	t.Helper()
	r, err := telemetry.NewRetry("a", telemetry.WithMeterProvider(new(ownProvider)))
	require.NoError(t, err)
	_, c := r.Begin(t.Context(), 1)
	return c.Records()
}

// unwatched skips the test if there is a page, and checks that it leaves none.
func unwatched(t *testing.T) {
	t.Helper()
	if watched(t) {
		t.Skip("the page of Handler watches since an earlier run: run this test without -count")
	}
	t.Cleanup(func() { assert.False(t, watched(t), "no page is left") })
}

// Of an attempt that was under way when the page was opened nobody knows when it began.
func TestOpenedDuringACall(t *testing.T) { //nolint:paralleltest // pages of others watch too
	unwatched(t)
	synctest.Test(t, func(t *testing.T) {
		provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
		f := &fixture{tel: []telemetry.Option{telemetry.WithMeterProvider(provider)}}
		p := f.newPolicy("a")
		n := 0
		require.Error(t, p.Do(t.Context(), func(context.Context) (err error) {
			if n++; n == 2 {
				f.page, err = inspect.New(inspect.WithMeterProvider(provider))
				assert.NoError(t, err)
			}
			time.Sleep(100 * ms)
			return failure("reset")
		}))
		defer func() { assert.NoError(t, f.page.Close()) }()
		shown := f.read(t, "").Policies[0].Troubled[0]
		require.Equal(t, 2, shown.Timeline[0].Attempt)
		assert.Nil(t, shown.Timeline[0].StartSeconds)
		assert.InDelta(t, 1.1, *shown.Timeline[1].StartSeconds+.1, 1e-9)
	})
}

// For a minute after trouble calls are timed from their start, and then no longer.
func TestTimedLately(t *testing.T) { //nolint:paralleltest // pages of others watch too
	unwatched(t)
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		p := f.newPolicy("a")
		for _, c := range []struct {
			after time.Duration
			timed bool
		}{{0, false}, {55 * time.Second, true}, {65 * time.Second, false}} {
			time.Sleep(c.after)
			require.Error(t, p.Do(t.Context(), failing(9, failure("reset"))))
			assert.Equal(t, c.timed, f.read(t, "").Policies[0].Troubled[0].Timeline[0].StartSeconds != nil, c.after)
		}
	})
}

// A page that is closed records nothing more, and answers all the same.
func TestClosed(t *testing.T) { //nolint:paralleltest // pages of others watch too
	unwatched(t)
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		p := f.newPolicy("a")
		require.Error(t, p.Do(t.Context(), failing(9, failure("reset"))))
		require.NoError(t, f.page.Close())
		require.Error(t, p.Do(t.Context(), failing(9, failure("reset"))))
		f.newPolicy("later")
		time.Sleep(time.Minute)
		shown := f.read(t, f.read(t, "").Cursor)
		assert.EqualValues(t, 2, shown.Policies[0].Calls["exhausted"])
		assert.Len(t, f.read(t, "").Policies[0].Troubled, 1)
		assert.Len(t, shown.Policies, 2)
		assert.Empty(t, shown.Policies[0].History["calls"])
		assert.Contains(t, get(t, f.page, "/state.txt").Body.String(), "later")
	})
}

// Who polls misses no call of any policy.
func TestCursorMissesNoCall(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var policies []*retry.Policy
	for i := range 600 {
		policies = append(policies, f.newPolicy(fmt.Sprintf("p%04d", i), retry.WithMaxRetries(1), retry.WithBackoff(backoff.Constant{})))
	}
	var callers sync.WaitGroup
	for worker := range 4 {
		callers.Go(func() {
			for round := range 6 {
				for i := range policies {
					p := policies[(i*7+worker*100+round)%len(policies)]
					_ = p.Do(t.Context(), func(context.Context) error { return failure("reset") })
				}
			}
		})
	}
	done := make(chan struct{})
	go func() {
		callers.Wait()
		close(done)
	}()
	seen := map[uint64]bool{}
	for cursor, ended := "", false; !ended; {
		select {
		case <-done:
			ended = true // and one answer more
		default:
		}
		d := f.read(t, cursor)
		cursor = d.Cursor
		for _, p := range d.Policies {
			for _, c := range p.Troubled {
				seen[c.ID] = true
			}
		}
	}
	missed := 0
	for _, p := range f.read(t, "").Policies {
		for _, c := range p.Troubled {
			if !seen[c.ID] {
				missed++
			}
		}
	}
	assert.Zero(t, missed)
}

// Pages come and go, and policies change and get names, while calls are made: every call is
// counted once.
func TestPagesComeAndGo(t *testing.T) {
	t.Parallel()
	provider := new(ownProvider)
	f := newFixture(t, inspect.WithMeterProvider(provider))
	f.tel = []telemetry.Option{telemetry.WithMeterProvider(provider)}
	p := f.newPolicy("base", retry.WithBackoff(backoff.Constant{}))
	const workers, calls = 6, 200
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			for n := range calls {
				err := retry.Named(p, fmt.Sprint("name ", n%210)).Do(t.Context(), func(context.Context) error {
					if n%2 == 0 {
						return failure("reset")
					}
					return nil
				})
				assert.Equal(t, n%2 == 0, err != nil)
				if n%50 == 0 {
					assert.NoError(t, p.Update(retry.Config{MaxRetries: 1 + worker%3, InitialDelay: 1}))
				}
			}
		})
		group.Go(func() {
			for range 4 {
				page, err := inspect.New(inspect.WithMeterProvider(provider))
				assert.NoError(t, err)
				get(t, page, "/state.json")
				assert.NoError(t, page.Close())
				get(t, page, "/state.txt")
			}
		})
	}
	group.Wait()
	var counted int64
	for _, shown := range f.read(t, "").Policies {
		for _, n := range shown.Calls {
			counted += n
		}
	}
	assert.EqualValues(t, workers*calls, counted)
}

// No request makes the page panic, or lead elsewhere.
func FuzzRequests(fuzz *testing.F) {
	page, err := inspect.New(inspect.WithMeterProvider(new(ownProvider)))
	require.NoError(fuzz, err)
	fuzz.Cleanup(func() { _ = page.Close() })
	for _, target := range []string{
		"/", "//", "/..", "/%2e%2e/", "*", "//evil.example", "/\\evil.example", "/x//", "/%00", "/a\r\nb", "/ui/../page.js",
		"/state.json?since=" + strings.Repeat("9-", 99), "/state.json?since=1-2-3&since=%zz;", "/state.json/", "/.", "", "/?",
	} {
		fuzz.Add(http.MethodGet, target, "bytes=0-1", `W/"x", *`)
	}
	fuzz.Fuzz(func(t *testing.T, method, target, byteRange, etag string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		r.Method = method
		r.URL.Path, r.URL.RawQuery, _ = strings.Cut(target, "?")
		r.Header.Set("Range", byteRange)
		r.Header.Set("If-None-Match", etag)
		w := httptest.NewRecorder()
		page.ServeHTTP(w, r)
		if to := w.Header().Get("Location"); to != "" {
			require.True(t, strings.HasPrefix(to, "./") && strings.HasSuffix(to, "/"), to)
			require.NotContains(t, to, "\\")
			require.Equal(t, 2, strings.Count(to, "/"), to)
		}
		require.Less(t, w.Code, 500)
		require.Contains(t, w.Header().Get("Content-Security-Policy"), "default-src 'none'")
	})
}
