package main

import (
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// mainVariable makes the program of the tests the example itself.
const mainVariable = "EXAMPLE_REPLICAS_MAIN"

func TestMain(m *testing.M) {
	if runRole() {
		return
	}
	if os.Getenv(mainVariable) != "" {
		main()
		return
	}
	m.Run()
}

func needRedis(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("CI") == "true" {
			require.FailNow(t, "redis-server is missing: install the package redis-server")
		}
		t.Skip("SKIPPED, nothing of this was tested: install the package redis-server")
	}
}

// small are the options of a run in a hurry: 4 replicas with 25 calls a second each.
func small() options {
	return options{
		replicas: 4, rate: 25,
		times: [numPhases]time.Duration{calm: time.Second, outage: 2 * time.Second, recovered: 500 * time.Millisecond},
	}
}

// open starts a Redis that ends with the test, which fails if a child reports an error.
func open(t *testing.T, o options) *course {
	t.Helper()
	needRedis(t)
	errs := &text{}
	c, err := openCourse(t.Context(), o, io.Discard, errs)
	require.NoError(t, err)
	t.Cleanup(func() {
		c.close()
		assert.Empty(t, errs.String())
	})
	return c
}

// A text is written by several children.
type text struct {
	mu  sync.Mutex
	all strings.Builder
}

func (w *text) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all.Write(p)
}

func (w *text) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all.String()
}
