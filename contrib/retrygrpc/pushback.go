package retrygrpc

import (
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/internal/layers"
	"github.com/observable-go/toolkit/internal/retryafter"
)

// maxPushback bounds what a server may ask for: a year. A policy has a bound of its own, which
// is far below.
const maxPushback = 365 * 24 * time.Hour

// pushback returns how long the server asked to wait, and whether it did: the longest time among
// google.rpc.RetryInfo in the details of the status, retry-after in the headers or the trailers,
// and grpc-retry-pushback-ms in the trailers. It lies between 1 ns and a year. What has no proper
// form is not there.
func pushback(s *status.Status, a *answer) (time.Duration, bool) {
	longest := retryInfo(s)
	for _, values := range [][]string{a.header.Get("retry-after"), a.trailer.Get("retry-after")} {
		for _, value := range values {
			longest = max(longest, retryAfter(value))
		}
	}
	for _, value := range a.trailer.Get(pushbackKey) {
		longest = max(longest, pushbackMillis(value))
	}
	return longest, longest > 0
}

// retryInfo returns the retry_delay of the RetryInfo in the details of a status, or 0. One of
// none or less than none is no word.
func retryInfo(s *status.Status) (longest time.Duration) {
	for _, detail := range s.Proto().GetDetails() {
		var info errdetails.RetryInfo
		if detail.MessageIs(&info) && detail.UnmarshalTo(&info) == nil {
			longest = max(longest, info.GetRetryDelay().AsDuration()) // which does not overflow
		}
	}
	return min(longest, maxPushback)
}

// retryAfter parses a value of retry-after, seconds or an HTTP date (RFC 9110, section 10.2.3),
// and returns 0 for what is neither, for what lies in the past and for no seconds.
func retryAfter(value string) time.Duration {
	d, _ := retryafter.Parse(value, func() time.Time { return clock.Now(nil) })
	return min(d, maxPushback)
}

// pushbackMillis parses a value of grpc-retry-pushback-ms, and returns 0 for what is none. No
// milliseconds ask for an attempt at once, and as that is a word of the server's it is 1 ns.
func pushbackMillis(value string) time.Duration {
	d, ok := retryafter.Units(value, time.Millisecond)
	if ok && d == 0 {
		return 1
	}
	return min(d, maxPushback)
}

// refuses reports whether the answer asks not to repeat the call.
func refuses(a *answer) bool {
	if len(a.trailer.Get(pushbackKey)) > 1 {
		return true // as package grpc takes it
	}
	return layers.Refuses(func(name string) []string {
		if strings.EqualFold(name, pushbackKey) {
			return a.trailer.Get(name)
		}
		return append(a.header.Get(name), a.trailer.Get(name)...)
	})
}
