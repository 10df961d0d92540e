package retryhttp

import (
	"math"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// at is the time of the client, which is 10 minutes behind the server's.
var at = time.Date(2025, time.November, 24, 15, 0, 0, 0, time.UTC)

const serverDate = "Mon, 24 Nov 2025 15:10:00 GMT"

func header(fields ...string) http.Header {
	h := http.Header{}
	for i := 0; i+1 < len(fields); i += 2 {
		h.Add(fields[i], fields[i+1])
	}
	return h
}

func TestPushback(t *testing.T) {
	t.Parallel()
	const forever = time.Duration(math.MaxInt64)
	seconds := func(n int64) time.Duration { return time.Duration(n) * time.Second }
	for name, test := range map[string]struct {
		header http.Header
		want   time.Duration
		code   int // 503 if 0
	}{
		"nothing": {header: header()},

		"seconds":              {header: header("Retry-After", "120"), want: seconds(120)},
		"spaces":               {header: header("Retry-After", " 5\t"), want: seconds(5)},
		"zeros before":         {header: header("Retry-After", "0007"), want: seconds(7)},
		"zero":                 {header: header("Retry-After", "0")},
		"negative":             {header: header("Retry-After", "-5")},
		"sign":                 {header: header("Retry-After", "+5")},
		"fraction":             {header: header("Retry-After", "1.5")},
		"exponent":             {header: header("Retry-After", "1e3")},
		"hexadecimal":          {header: header("Retry-After", "0x10")},
		"unit":                 {header: header("Retry-After", "5s")},
		"other digits":         {header: header("Retry-After", "٣")},
		"empty":                {header: header("Retry-After", "")},
		"words":                {header: header("Retry-After", "soon")},
		"largest":              {header: header("Retry-After", "9223372036"), want: seconds(9223372036)},
		"too large for a time": {header: header("Retry-After", "9223372037"), want: forever},
		"huge":                 {header: header("Retry-After", "99999999999999999999999999"), want: forever},
		"several": {
			header: header("Retry-After", "5", "Retry-After", "7", "Retry-After", "x", "Retry-After", "6"), want: seconds(7),
		},
		"of a 500": {header: header("Retry-After", "5"), want: seconds(5), code: 500},
		"of a 429": {header: header("Retry-After", "5"), want: seconds(5), code: 429},

		"date": {header: header("Retry-After", "Mon, 24 Nov 2025 15:00:05 GMT"), want: seconds(5)},
		"date by the server's clock": {
			header: header("Retry-After", "Mon, 24 Nov 2025 15:10:05 GMT", "Date", serverDate), want: seconds(5),
		},
		"date with a bad clock": {
			header: header("Retry-After", "Mon, 24 Nov 2025 15:00:05 GMT", "Date", "yesterday"), want: seconds(5),
		},
		"date of RFC 850":   {header: header("Retry-After", "Monday, 24-Nov-25 15:00:05 GMT"), want: seconds(5)},
		"date of asctime":   {header: header("Retry-After", "Mon Nov 24 15:00:05 2025"), want: seconds(5)},
		"date in the past":  {header: header("Retry-After", "Mon, 24 Nov 2025 14:59:59 GMT")},
		"date that is now":  {header: header("Retry-After", "Mon, 24 Nov 2025 15:00:00 GMT")},
		"date past, server": {header: header("Retry-After", "Mon, 24 Nov 2025 15:00:05 GMT", "Date", serverDate)},
		"date far away":     {header: header("Retry-After", "Fri, 31 Dec 9999 23:59:59 GMT"), want: forever},
		"no such date":      {header: header("Retry-After", "Mon, 32 Nov 2025 15:00:05 GMT")},
		"date of RFC 3339":  {header: header("Retry-After", "2025-11-24T15:00:05Z")},

		"limit reached":       {header: header("RateLimit", `"default";r=0;t=5`), want: seconds(5)},
		"limit not reached":   {header: header("RateLimit", `"default";r=1;t=5`)},
		"longest of limits":   {header: header("RateLimit", `"a";r=0;t=5, "b";r=9;t=99, "c";r=0;t=7`), want: seconds(7)},
		"limits in two lines": {header: header("RateLimit", `"a";r=0;t=5`, "RateLimit", `"b";r=0;t=6`), want: seconds(6)},
		"without the rest":    {header: header("RateLimit", `"default";t=5`)},
		"without the time":    {header: header("RateLimit", `"default";r=0`)},
		"bad time":            {header: header("RateLimit", `"default";r=0;t=-5`)},
		"drafts 05 to 07":     {header: header("RateLimit", "limit=10, remaining=0, reset=5"), want: seconds(5)},
		"draft 05, not yet":   {header: header("RateLimit", "limit=10, remaining=3, reset=5")},
		"first drafts":        {header: header("RateLimit-Limit", "10", "RateLimit-Remaining", "0", "RateLimit-Reset", "5"), want: seconds(5)},
		"first drafts, rest":  {header: header("RateLimit-Remaining", "1", "RateLimit-Reset", "5")},
		"only the reset":      {header: header("RateLimit-Reset", "5"), want: seconds(5)},
		"in common use":       {header: header("X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "5"), want: seconds(5)},
		"in other use":        {header: header("X-Rate-Limit-Remaining", "0", "X-Rate-Limit-Reset", "5"), want: seconds(5)},
		"a time": {
			header: header("X-RateLimit-Remaining", "0", "X-RateLimit-Reset", strconv.FormatInt(at.Unix()+5, 10)), want: seconds(5),
		},
		"a time by the server's clock": {
			header: header("X-RateLimit-Reset", strconv.FormatInt(at.Unix()+605, 10), "Date", serverDate), want: seconds(5),
		},
		"a time in the past": {header: header("X-RateLimit-Reset", strconv.FormatInt(at.Unix()-5, 10))},
		"a time in milliseconds": {
			header: header("X-RateLimit-Reset", strconv.FormatInt(at.UnixMilli()+5000, 10)), want: seconds(5),
		},
		"of a 429, limit":         {header: header("RateLimit-Reset", "5"), want: seconds(5), code: 429},
		"limits of other answers": {header: header("RateLimit-Reset", "5"), code: 500},
		"Retry-After counts":      {header: header("Retry-After", "3", "RateLimit-Reset", "5"), want: seconds(3)},
		"a bad one does not":      {header: header("Retry-After", "x", "RateLimit-Reset", "5"), want: seconds(5)},
	} {
		code := test.code
		if code == 0 {
			code = http.StatusServiceUnavailable
		}
		assert.Equal(t, test.want, pushback(code, test.header, func() time.Time { return at }), name)
	}
}

// Whatever a server says is no reason to panic or to come back before one has left.
func FuzzPushback(f *testing.F) {
	for _, s := range []string{
		"5", "-1", "1.5", "99999999999999999999", serverDate, `"a";r=0;t=5`, "limit=1, remaining=0, reset=5", "1764000000000", "", ";;=,",
	} {
		f.Add(s, serverDate, int64(1764000000))
	}
	f.Fuzz(func(t *testing.T, value, date string, now int64) {
		clock := func() time.Time { return time.Unix(now, 0) }
		for _, name := range []string{"Retry-After", "RateLimit", "RateLimit-Reset", "X-RateLimit-Reset", "X-Rate-Limit-Reset"} {
			for _, remaining := range []string{"0", "", value} {
				h := header(name, value, "Date", date, "RateLimit-Remaining", remaining)
				if got := pushback(http.StatusServiceUnavailable, h, clock); got < 0 {
					t.Errorf("%s: %q, Date: %q: %v", name, value, date, got)
				}
			}
		}
	})
}
