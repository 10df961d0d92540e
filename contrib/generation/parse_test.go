package generation

import (
	"bufio"
	"bytes"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPushback(t *testing.T) {
	t.Parallel()
	in := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }
	for name, tt := range map[string]struct {
		headers []string // names and values
		want    time.Duration
	}{
		"none":           {nil, 0},
		"milliseconds":   {[]string{"Retry-After-Ms", "20"}, 20 * time.Millisecond},
		"of them a part": {[]string{"Retry-After-Ms", " 0.5 "}, 500 * time.Microsecond},
		"less than a ns": {[]string{"Retry-After-Ms", "0.0000001"}, 1},
		"seconds":        {[]string{"Retry-After", "120"}, 2 * time.Minute},
		"of them parts":  {[]string{"Retry-After", "1.25"}, 1250 * time.Millisecond},
		"0":              {[]string{"Retry-After", "0"}, 0},
		"0 before reset": {[]string{"Retry-After", "0", "X-Ratelimit-Remaining-Requests", "0", "X-Ratelimit-Reset-Requests", "1s"}, 0},
		"too large":      {[]string{"Retry-After", "9223372037"}, math.MaxInt64},
		"far too large":  {[]string{"Retry-After", strings.Repeat("9", 400)}, math.MaxInt64},
		"negative":       {[]string{"Retry-After", "-5"}, 0},
		"exponent":       {[]string{"Retry-After", "1e3"}, 0},
		"NaN":            {[]string{"Retry-After", "NaN"}, 0},
		"infinite":       {[]string{"Retry-After-Ms", "+Inf"}, 0},
		"two points":     {[]string{"Retry-After", "1.2.3"}, 0},
		"a point":        {[]string{"Retry-After", "."}, 0},
		"words":          {[]string{"Retry-After", "soon"}, 0},
		"garbage, then":  {[]string{"Retry-After-Ms", "x", "Retry-After", "3"}, 3 * time.Second},
		"in the past":    {[]string{"Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT"}, 0},
		"limit":          {[]string{"X-Ratelimit-Remaining-Tokens", "0", "X-Ratelimit-Reset-Tokens", "6m0s"}, 6 * time.Minute},
		"limit left":     {[]string{"X-Ratelimit-Remaining-Tokens", "5", "X-Ratelimit-Reset-Tokens", "6m0s"}, 0},
		"limit in 0.1 s": {[]string{"X-Ratelimit-Remaining-Requests", "0", "X-Ratelimit-Reset-Requests", "59.9"}, 59900 * time.Millisecond},
		"limit negative": {[]string{"X-Ratelimit-Remaining-Requests", "0", "X-Ratelimit-Reset-Requests", "-1s"}, 0},
		"limit unknown":  {[]string{"X-Ratelimit-Remaining-Requests", "0"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := http.Header{}
			for i := 0; i < len(tt.headers); i += 2 {
				h.Set(tt.headers[i], tt.headers[i+1])
			}
			assert.Equal(t, tt.want, pushback(h))
		})
	}
	got := pushback(http.Header{"Retry-After": {in(time.Hour)}})
	assert.Greater(t, got, 59*time.Minute)
	assert.LessOrEqual(t, got, time.Hour)
}

func FuzzPushback(f *testing.F) {
	for _, s := range []string{"", "1", "1.5", "-1", "1e9", "NaN", "6m0s", "Sun, 06 Nov 1994 08:49:37 GMT", "99999999999999999999"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		d := pushback(http.Header{"Retry-After-Ms": {a}, "Retry-After": {b}})
		require.GreaterOrEqual(t, d, time.Duration(0))
		d = pushback(http.Header{"X-Ratelimit-Remaining-Requests": {"0"}, "X-Ratelimit-Reset-Requests": {a}})
		require.GreaterOrEqual(t, d, time.Duration(0))
	})
}

func TestReport(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]reported{
		`{"error": {}}`:                                                      {},
		`{"error": "overloaded"}`:                                            {},
		`{"error": {"code": 400}}`:                                           {status: 400},
		`{"error": {"code": "429"}}`:                                         {status: 429},
		`{"error": {"code": 40000000}}`:                                      {},
		`{"error": {"code": 200}}`:                                           {},
		`{"error": {"code": 1e400}}`:                                         {},
		`{"error": {"code": []}}`:                                            {},
		`{"error": {"type": "Unknown"}}`:                                     {},
		`{"error": {"code": "slow_down", "type": "rate_limit_error"}}`:       {code: "slow_down", status: 429},
		`{"error": {"code": 400, "type": "BadRequestError"}}`:                {code: "BadRequestError", status: 400},
		`{"error": {"code": "new", "type": "server_error"}}`:                 {code: "server_error", status: 500},
		`{"error": "Model is overloaded", "error_type": "overloaded"}`:       {code: "overloaded", status: 429},
		`{"error": {"message": "x"}, "error_type": "incomplete_generation"}`: {code: "incomplete_generation", status: 500},
		`{"object": "error", "type": "BadRequestError", "code": 400}`:        {code: "BadRequestError", status: 400},
		`{"type": "error", "code": "server_error", "message": "x"}`:          {code: "server_error", status: 500},
		`{"type": "error", "error": {"type": "overloaded_error"}}`:           {code: "overloaded_error", status: 503},
	} {
		got, _, ok := report([]byte(text))
		assert.True(t, ok, text)
		assert.Equal(t, want, got, text)
	}
	for _, text := range []string{``, `{}`, `{"error": null}`, `[]`, `null`, `"error"`, `{"error"`, `{"choices": []}`, `{"object": "x", "type": 5}`} {
		_, _, ok := report([]byte(text))
		assert.False(t, ok, text)
	}
}

func FuzzReport(f *testing.F) {
	f.Add([]byte(`{"error": {"code": "slow_down", "type": "rate_limit_error"}}`))
	f.Add([]byte(`{"error": "x", "error_type": 5}`))
	f.Add([]byte(`{"error": {"code": 1e99}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, _, ok := report(text)
		if _, known := codes[r.code]; r.code != "" && !known || !ok && r != (reported{}) {
			t.Fatalf("%+v", r)
		}
		if r.status != 0 && (r.status < 400 || r.status > 599) {
			t.Fatalf("status %d", r.status)
		}
		_ = insideError(text, nil).Error()
	})
}

func TestFirstEvent(t *testing.T) {
	t.Parallel()
	for stream, want := range map[string]string{
		"data: a\n\ndata: b\n\n":             "a\n",
		"data:a\n\n":                         "a\n",
		"data: a\r\n\r\n":                    "a\n",
		": c\n\nevent: e\n\ndata: a\n\n":     "a\n",
		"event: e\ndata: a\ndata:  b\n\nxyz": "a\n b\n",
		"data:\n\n":                          "\n",
		"database: x\n\ndata: a\n\n":         "a\n",
	} {
		all, data, err := firstEvent(bufio.NewReaderSize(strings.NewReader(stream), 16), 1<<10)
		require.NoError(t, err, "%q", stream)
		assert.Equal(t, want, string(data), "%q", stream)
		got, err := io.ReadAll(io.MultiReader(all...))
		require.NoError(t, err)
		assert.Equal(t, stream, string(got), "nothing is lost")
	}
	for _, stream := range []string{"", "data: a", "data: a\n", ": c\n\n", "event: e\n\n"} {
		_, _, err := firstEvent(bufio.NewReader(strings.NewReader(stream)), 1<<10)
		assert.ErrorIs(t, err, io.ErrUnexpectedEOF, "%q", stream)
	}
}

func FuzzFirstEvent(f *testing.F) {
	f.Add([]byte("data: a\n\ndata: b\n\n"))
	f.Add([]byte(": c\r\n\r\ndata: " + strings.Repeat("x", 40) + "\n\n"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		all, _, err := firstEvent(bufio.NewReaderSize(bytes.NewReader(stream), 16), 64)
		if err != nil {
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			return
		}
		got, err := io.ReadAll(io.MultiReader(all...))
		require.NoError(t, err)
		require.True(t, bytes.Equal(stream, got))
	})
}

// The mark is found wherever the stream is cut into pieces, and only as a line of its own.
func FuzzEndMark(f *testing.F) {
	f.Add([]byte("data: a\n\ndata: [DONE]\n\n"), uint8(3))
	f.Add([]byte("data:[DONE]"), uint8(1))
	f.Add([]byte("data: x data: [DONE]\n"), uint8(7))
	f.Add([]byte("data: [DON\nE]"), uint8(2))
	f.Fuzz(func(t *testing.T, stream []byte, size uint8) {
		want := false
		for line := range bytes.SplitSeq(stream, []byte("\n")) {
			want = want || bytes.HasPrefix(line, []byte("data: [DONE]")) || bytes.HasPrefix(line, []byte("data:[DONE]"))
		}
		var m endMark
		for rest := stream; len(rest) > 0; {
			n := min(len(rest), int(size)+1)
			m.see(rest[:n])
			rest = rest[n:]
		}
		require.Equal(t, want, m.seen)
	})
}
