package retryhttp

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/observable-go/toolkit/internal/retryafter"
)

// pushback returns how long an answer asks to wait, and 0 if it does not say. now is asked
// where the answer has a time and no Date.
func pushback(code int, h http.Header, now func() time.Time) time.Duration {
	clock := retryafter.ServerClock(h, now)
	if after := retryAfter(h, clock); after > 0 {
		return after
	}
	if code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable {
		return rateLimitReset(h, clock)
	}
	return 0
}

// retryAfter returns the longest time that Retry-After has, as seconds or as one of the three
// forms of a date (RFC 9110, sections 10.2.3 and 5.6.7).
func retryAfter(h http.Header, clock func() time.Time) (longest time.Duration) {
	for _, value := range h["Retry-After"] {
		after, _ := retryafter.Parse(value, clock)
		longest = max(longest, after)
	}
	return longest
}

// rateLimitReset returns when the limit that was reached allows more, in one of the forms that
// are in use:
//
//	RateLimit: "burst";r=0;t=5, "day";r=12;t=3600   draft-ietf-httpapi-ratelimit-headers-08 and later
//	RateLimit: limit=10, remaining=0, reset=5       the drafts before it, from 05 on
//	RateLimit-Remaining: 0, RateLimit-Reset: 5      the first drafts
//	X-RateLimit-Remaining: 0, X-RateLimit-Reset: 5 or 1764000000 or 1764000000000, which are times
func rateLimitReset(h http.Header, clock func() time.Time) (longest time.Duration) {
	for _, value := range h["Ratelimit"] {
		for item := range strings.SplitSeq(value, ",") {
			longest = max(longest, resetOfItem(item))
		}
		if !strings.Contains(value, ";") { // one limit, whose parts stand between commas
			longest = max(longest, resetOfItem(strings.ReplaceAll(value, ",", ";")))
		}
	}
	for _, prefix := range []string{"Ratelimit-", "X-Ratelimit-", "X-Rate-Limit-"} {
		if remaining := h.Get(prefix + "Remaining"); remaining != "" && !isZero(remaining) {
			continue
		}
		longest = max(longest, resetAt(h.Get(prefix+"Reset"), clock))
	}
	return longest
}

// resetOfItem returns the time of a limit of which nothing remains, and 0 for others.
func resetOfItem(item string) (reset time.Duration) {
	reached := false
	for field := range strings.SplitSeq(item, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch strings.ToLower(name) {
		case "r", "remaining":
			reached = isZero(value)
		case "t", "reset":
			reset, _ = retryafter.Units(value, time.Second)
		}
	}
	if !reached {
		return 0
	}
	return reset
}

func isZero(s string) bool {
	d, ok := retryafter.Units(s, time.Second)
	return ok && d == 0
}

const (
	// firstTimestamp is a number of seconds that is rather a time (in 2001) than a wait (of 31
	// years).
	firstTimestamp = 1_000_000_000 * time.Second
	// firstMillis is a time that is rather in milliseconds (in 1973) than in seconds (in 5138).
	firstMillis = 100_000_000_000
)

// resetAt returns the wait until a reset, which is given in seconds from now on, or in seconds
// or milliseconds since 1970.
func resetAt(s string, clock func() time.Time) time.Duration {
	s = strings.TrimSpace(s)
	d, ok := retryafter.Units(s, time.Second)
	switch {
	case !ok:
		return 0
	case d < firstTimestamp:
		return d
	}
	reset := time.Unix(int64(d/time.Second), 0)
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && n >= firstMillis {
		reset = time.UnixMilli(n)
	}
	return reset.Sub(clock())
}
