// Package retryafter reads how long an answer asks to wait before the request is repeated.
package retryafter

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Parse returns the wait that a value of Retry-After asks for (RFC 9110, section 10.2.3): a number
// of seconds, or a date. now is asked for the time if it is a date, and one in the past is no
// wait. ok says whether the value has one of these forms.
func Parse(value string, now func() time.Time) (d time.Duration, ok bool) {
	if d, ok = Units(value, time.Second); ok {
		return d, true
	}
	return Date(value, now)
}

// Date is Parse for a date alone, in one of the three forms of RFC 9110, section 5.6.7.
func Date(value string, now func() time.Time) (d time.Duration, ok bool) {
	date, err := http.ParseTime(strings.TrimSpace(value))
	if err != nil {
		return 0, false
	}
	return max(0, date.Sub(now())), true
}

// Units returns a number of units, which consists of digits. One that is too large for a Duration is
// the longest.
func Units(value string, unit time.Duration) (d time.Duration, ok bool) {
	value = strings.TrimSpace(value)
	if value == "" || strings.Trim(value, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n > math.MaxInt64/int64(unit) {
		return math.MaxInt64, true
	}
	return time.Duration(n) * unit, true
}

// ServerClock returns the time at which an answer with the header h was made, by the clock of the
// server that has set its other times. Without a Date it is now.
func ServerClock(h http.Header, now func() time.Time) func() time.Time {
	return func() time.Time {
		if date, err := http.ParseTime(h.Get("Date")); err == nil {
			return date
		}
		return now()
	}
}
