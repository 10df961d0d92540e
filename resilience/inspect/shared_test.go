package inspect_test

import (
	"encoding/json"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience/telemetry"
)

// A sharedBudget emits as one that replicas share.
type sharedBudget struct {
	mode   atomic.Value
	tokens float64
	tel    *telemetry.Guard
}

func newSharedBudget(t *testing.T, opts []telemetry.Option) *sharedBudget {
	t.Helper()
	s := &sharedBudget{tokens: 89}
	s.mode.Store("shared")
	_, err := telemetry.NewBudget("shop", func() (tokens, capacity float64) { return 0, 10 }, opts...)
	require.NoError(t, err)
	s.tel, err = telemetry.NewSharedBudget("shop", func() telemetry.SharedBudgetLevel {
		l := telemetry.SharedBudgetLevel{Mode: s.mode.Load().(string), Tokens: math.NaN(), Capacity: 100}
		if l.Mode == "shared" {
			l.Tokens = s.tokens
		}
		return l
	}, opts...)
	require.NoError(t, err)
	return s
}

func (s *sharedBudget) enter(mode string) {
	s.tel.ModeChanged(telemetry.SharedBudgetChange{From: s.mode.Load().(string), To: mode})
	s.mode.Store(mode)
}

// A budget that replicas share is one budget on the page, and no guard.
func TestSharedBudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		s := newSharedBudget(t, f.tel)
		s.tel.Exchanged(time.Millisecond)
		time.Sleep(2*time.Second + ms)
		s.enter("closed")
		s.tel.ExchangeFailed(telemetry.ResultTimedOut, failure("reset"), "timeout")
		time.Sleep(2 * time.Second)

		var d struct {
			Budgets []struct {
				Name             string
				Tokens, Capacity *float64
				Shared           struct {
					Mode               string
					Tokens, Capacity   *float64
					Exchanges, Changes map[string]int64
					Error              string
				}
				History struct {
					SharedTokens []*float64 `json:"shared_tokens"`
					Mode         []string
				}
			}
			Guards []any
		}
		require.NoError(t, json.Unmarshal(get(t, f.page, "/state.json").Body.Bytes(), &d))
		assert.Empty(t, d.Guards)
		require.Len(t, d.Budgets, 1)
		b := d.Budgets[0]
		assert.Equal(t, "closed", b.Shared.Mode)
		assert.InDelta(t, 10, *b.Capacity, 0)
		assert.Nil(t, b.Shared.Tokens)
		assert.InDelta(t, 100, *b.Shared.Capacity, 0)
		assert.Equal(t, map[string]int64{"success": 1, "failure": 0, "timed_out": 1}, b.Shared.Exchanges)
		assert.Equal(t, map[string]int64{"shared": 0, "local": 0, "closed": 1}, b.Shared.Changes)
		assert.Equal(t, "reset at https://***@host/?***", b.Shared.Error)
		assert.Equal(t, []string{"shared", "closed"}, b.History.Mode)
		require.Len(t, b.History.SharedTokens, 2)
		assert.InDelta(t, 89, *b.History.SharedTokens[0], 0)
		assert.Nil(t, b.History.SharedTokens[1])

		row := func() string {
			for line := range strings.Lines(get(t, f.page, "/state.txt").Body.String()) {
				if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "shop" {
					line = strings.Join(fields, " ")
					if !strings.HasPrefix(line, "shop 0.0") { // the one of all budgets
						return line
					}
				}
			}
			return ""
		}
		assert.Equal(t, "shop closed - 100 success=1 timed_out=1 closed=1 reset at https://***@host/?***", row())
		s.tel.Exchanged(time.Millisecond)
		s.enter("shared")
		assert.Equal(t, "shop shared 89 100 success=2 timed_out=1 closed=1 shared=1", row())
		s.mode.Store("")
		assert.Equal(t, "shop ended - 100 success=2 timed_out=1 closed=1 shared=1", row())
	})
}

// The service is ready without the store, and says what that means. A replica that holds no
// token is no trouble while there is one.
func TestReadyWithoutTheStoreOfABudget(t *testing.T) {
	t.Parallel()
	h, tel := newHealth(t)
	s := newSharedBudget(t, tel)
	assert.Equal(t, "pass", ready(t, h).Status)
	for mode, want := range map[string]string{"closed": "no retry is granted", "local": "a local budget decides"} {
		s.enter(mode)
		d := ready(t, h)
		assert.Equal(t, "warn", d.Status)
		require.Len(t, d.Checks["budget:shop"], 1)
		assert.Equal(t, mode, d.Checks["budget:shop"][0].ObservedValue)
		assert.Contains(t, d.Checks["budget:shop"][0].Output, want)
	}
	s.tel.ExchangeFailed(telemetry.ResultFailure, failure("reset"), "reset")
	assert.Contains(t, ready(t, h).Checks["budget:shop"][0].Output, "is not there: reset at https://***@host")
	s.tel.Exchanged(time.Millisecond)
	s.enter("shared")
	assert.Equal(t, "pass", ready(t, h).Status)
	s.tokens = 0
	assert.Equal(t, "the retry budget of all replicas is empty", ready(t, h).Checks["budget:shop"][0].Output)
	s.enter("")
	assert.Equal(t, "pass", ready(t, h).Status, "it was closed")
}
