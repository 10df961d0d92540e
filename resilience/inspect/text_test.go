package inspect_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/breaker"
	"github.com/observable-go/toolkit/resilience/budget"
	"github.com/observable-go/toolkit/resilience/inspect"
	"github.com/observable-go/toolkit/resilience/retry"
)

func TestText(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, inspect.WithTitle("shop"))
		assert.Contains(t, get(t, f.page, "/state.txt").Body.String(), "There is no policy")
		p := f.newPolicy("inventory.get")
		_ = breaker.MustNew("inventory", breaker.WithTelemetry(f.tel...))
		_ = budget.MustNew("shop", budget.WithBurst(20), budget.WithTelemetry(f.tel...))
		require.NoError(t, p.Do(t.Context(), failing(0, nil)))
		require.NoError(t, p.Do(t.Context(), failing(2, failure("reset"))))
		require.NoError(t, p.Do(t.Context(), failing(1, failure("reset"))))
		time.Sleep(2 * time.Second)

		text := get(t, f.page, "/state.txt").Body.String()
		lines := strings.Split(text, "\n")
		row := func(first string) string {
			for _, l := range lines {
				if strings.HasPrefix(l, first) {
					return strings.Join(strings.Fields(l), " ")
				}
			}
			return ""
		}
		assert.True(t, strings.HasPrefix(text, "shop on "), lines[0])
		assert.Equal(t, "inventory.get 0.8 66.7 % 66.7 % 0.0 % 1.00 success=1 success_after_retry=2 reset=3", row("inventory.get"))
		assert.Equal(t, "shop 20.0 20 0 0 0", row("shop   "))
		assert.Equal(t, "inventory breaker closed failure_ratio=0 slow_ratio=0", row("inventory  "))
		assert.Contains(t, text, "inventory.get: success_after_retry, 2 of 4 attempts in 1.200 s\n"+
			"  1    0.000 to   0.100 s  reset: reset at https://***@host/?***; waits 1.000 s\n"+
			"  2    1.100 to   1.200 s  succeeded\n")
		assert.Contains(t, text, "  1        ? to   0.000 s  reset")
		assert.Less(t, strings.Index(text, "2 of 4 attempts"), strings.Index(text, "3 of 4 attempts"), "the newest comes first")
	})
}

func TestTextIsShort(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for i := range 25 {
		require.Error(t, f.newPolicy(fmt.Sprint("p", i), retry.WithMaxRetries(1), retry.WithBackoff(backoff.Constant{})).
			Do(t.Context(), func(context.Context) error { return failure("reset") }))
	}
	assert.Equal(t, 20, strings.Count(get(t, f.page, "/state.txt").Body.String(), ": exhausted (max_retries), 2 of 2 attempts"))
}
