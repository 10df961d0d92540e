package retryafter_test

import (
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/observable-go/toolkit/internal/retryafter"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func clock() time.Time { return now }

func TestParse(t *testing.T) {
	t.Parallel()
	in := now.Add(time.Minute)
	for value, want := range map[string]time.Duration{
		"0":                             0,
		"2":                             2 * time.Second,
		" 2\t":                          2 * time.Second,
		"9223372036":                    9223372036 * time.Second,
		"9223372037":                    math.MaxInt64,
		"99999999999999999999":          math.MaxInt64,
		in.Format(http.TimeFormat):      time.Minute,
		in.Format(time.RFC850):          time.Minute,
		in.Format(time.ANSIC):           time.Minute,
		"Fri, 02 Jan 2026 03:04:04 GMT": 0, // a second ago
	} {
		d, ok := retryafter.Parse(value, clock)
		assert.True(t, ok, "%q", value)
		assert.Equal(t, want, d, "%q", value)
	}
	for _, value := range []string{"", " ", "-2", "+2", "1.5", "1e3", "0x10", "NaN", "soon", "٢", "2 3", "Fri, 02 Jan 2026 03:04:04 CET"} {
		_, ok := retryafter.Parse(value, clock)
		assert.False(t, ok, "%q", value)
	}
}

func TestUnits(t *testing.T) {
	t.Parallel()
	d, ok := retryafter.Units("1500", time.Millisecond)
	assert.Equal(t, 1500*time.Millisecond, d)
	assert.True(t, ok)
	_, ok = retryafter.Units(now.Format(http.TimeFormat), time.Millisecond)
	assert.False(t, ok)
}

func TestServerClock(t *testing.T) {
	t.Parallel()
	behind := now.Add(-10 * time.Minute)
	assert.Equal(t, behind, retryafter.ServerClock(http.Header{"Date": {behind.Format(http.TimeFormat)}}, clock)())
	assert.Equal(t, now, retryafter.ServerClock(http.Header{"Date": {"yesterday"}}, clock)())
	assert.Equal(t, now, retryafter.ServerClock(nil, clock)())
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "0", "17", "18446744073709551615", "Fri, 02 Jan 2026 03:04:05 GMT"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if d, ok := retryafter.Parse(value, clock); d < 0 || d != 0 && !ok {
			t.Errorf("%q: %v, %v", value, d, ok)
		}
	})
}
