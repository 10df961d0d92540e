package generation

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/internal/retryafter"
)

// pushback returns how long the headers of an answer ask to wait, or 0. The first that says
// something decides: Retry-After-Ms, in milliseconds; Retry-After, in seconds or as a date
// (RFC 9110, section 10.2.3); the reset of the rate limits that have nothing left. Numbers may
// have fractions. What has no proper form says nothing.
func pushback(h http.Header) time.Duration {
	if d, ok := parseNumber(h.Get("Retry-After-Ms"), time.Millisecond); ok {
		return d
	}
	if d, ok := parseNumber(h.Get("Retry-After"), time.Second); ok {
		return d
	}
	if d, ok := retryafter.Date(h.Get("Retry-After"), retryafter.ServerClock(h, func() time.Time { return clock.Now(nil) })); ok {
		return d
	}
	return max(reset(h, "Requests"), reset(h, "Tokens"))
}

// reset returns when the rate limit of that kind begins anew, if it has nothing left:
//
//	x-ratelimit-remaining-requests: 0
//	x-ratelimit-reset-requests: 6m0s
func reset(h http.Header, kind string) time.Duration {
	if strings.TrimSpace(h.Get("X-Ratelimit-Remaining-"+kind)) != "0" {
		return 0
	}
	value := strings.TrimSpace(h.Get("X-Ratelimit-Reset-" + kind))
	if d, err := time.ParseDuration(value); err == nil {
		return max(0, d)
	}
	d, _ := parseNumber(value, time.Second) // some servers leave the unit out
	return d
}

// parseNumber parses a number of units, which may have a fraction. One that is too large for
// a time.Duration is the largest.
func parseNumber(s string, unit time.Duration) (d time.Duration, ok bool) {
	s = strings.TrimSpace(s)
	if s == "" || strings.Trim(s, "0123456789.") != "" { // no signs, exponents or names
		return 0, false
	}
	n, err := strconv.ParseFloat(s, 64)
	if err != nil && !math.IsInf(n, 1) {
		return 0, false
	}
	n *= float64(unit)
	if n >= math.MaxInt64 {
		return math.MaxInt64, true
	}
	return time.Duration(math.Ceil(n)), true // not a nanosecond too early
}
