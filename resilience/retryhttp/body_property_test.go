package retryhttp_test

import (
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/retryhttp"
)

// chunks yields s in parts of random sizes, some of them empty, and its end with or after the last.
type chunks struct {
	rest   string
	random *rand.Rand
	bound  int
}

func (c *chunks) Read(p []byte) (int, error) {
	n := copy(p[:min(len(p), c.random.IntN(c.bound+1))], c.rest)
	c.rest = c.rest[n:]
	if c.rest == "" && c.random.IntN(2) == 0 {
		return n, io.EOF
	}
	if c.rest == "" && n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// A faultyServer ends each request somewhere within its body or after it, in a way of which the
// client may hope that it passes, and at last answers.
type faultyServer struct {
	mu       sync.Mutex
	random   *rand.Rand
	size     int
	failures int // that are still to come
	bodies   []string
	whole    []bool
}

func (s *faultyServer) script(w *wire) {
	if !w.header() {
		return
	}
	s.mu.Lock()
	kind, upTo := s.random.IntN(4), int64(s.random.IntN(s.size+1))
	if s.failures--; s.failures < 0 {
		kind = -1
	}
	s.mu.Unlock()
	body := io.Reader(w.last.Body)
	if kind == 1 || kind == 2 {
		body = io.LimitReader(body, upTo)
	}
	got, err := io.ReadAll(body)
	s.mu.Lock()
	s.bodies = append(s.bodies, string(got))
	s.whole = append(s.whole, err == nil && kind != 1 && kind != 2)
	s.mu.Unlock()
	switch kind {
	case -1:
		w.say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello")
	case 0, 1:
		w.say("HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello")
		w.stall() // else what was not read resets the connection, and the answer may be lost
	case 2:
		w.reset()
	}
}

// Whatever the chunks, the faults and the limit: each attempt sends a part from the beginning,
// the one that succeeds sends all, and the source is closed once.
func TestBodyProperties(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rounds := 300
	if testing.Short() {
		rounds = 50
	}
	base := transportOf(t)
	kinds := map[string]int{}
	for round := range rounds {
		random := rand.New(rand.NewPCG(seed, uint64(round)))
		size := random.IntN(200_000) >> random.IntN(18)
		text := strings.Repeat("0123456789abcdef", size/16+1)[:size]
		limit := []int{0, 100, 10_000, 1 << 20}[random.IntN(4)]
		faulty := &faultyServer{random: rand.New(rand.NewPCG(seed, ^uint64(round))), size: size, failures: random.IntN(4)}
		server := serveWires(t, faulty.script)

		var source *watchedBody
		var request *http.Request
		var err error
		replayable := limit >= size
		switch random.IntN(3) {
		case 0:
			source = watched(&chunks{text, random, 1 + random.IntN(40_000)})
			request, err = http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL, source)
		case 1:
			source = watched(&chunks{text, random, 1 + random.IntN(40_000)})
			request, err = http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL, source)
			request.ContentLength = int64(size)
		case 2:
			request, err = http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL, file(t, text, 0))
			replayable = true
		}
		require.NoError(t, err)
		client := &http.Client{Transport: retryhttp.MustNew(policyOf(t, retry.WithMaxRetries(3)),
			retryhttp.WithBase(base), retryhttp.WithBufferLimit(int64(limit)))}
		answer, err := client.Do(request)
		code := 0
		if err == nil {
			code = answer.StatusCode
			assert.Equal(t, "hello", read(t, answer))
		}
		if replayable {
			assert.Equal(t, 200, code, "round %d: %v", round, err)
		}
		kinds[http.StatusText(code)]++
		faulty.mu.Lock()
		for i, got := range faulty.bodies {
			assert.True(t, strings.HasPrefix(text, got), "round %d, attempt %d: other bytes", round, i+1)
			assert.True(t, !faulty.whole[i] || len(got) == size, "round %d, attempt %d: %d of %d bytes", round, i+1, len(got), size)
		}
		if code == 200 {
			assert.True(t, faulty.whole[len(faulty.whole)-1], "round %d: a part succeeded", round)
		}
		faulty.mu.Unlock()
		if source != nil {
			source.check(t)
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	t.Log(kinds)
}
